'use client'

import type { ComponentProps } from 'react'
import type { FieldPath, FieldValues } from 'react-hook-form'
import { ControlledField } from '@/libs/ui/form'
import { NumberField, type NumberFieldProps } from '@/libs/ui/number-field'
import { Select, type SelectProps } from '@/libs/ui/select'

type Bound<Values extends FieldValues, Name extends FieldPath<Values>> = Omit<
  ComponentProps<typeof ControlledField<Values, Name>>,
  'children'
>

/**
 * A choice of one of a few, bound to the form.
 * @example <SelectField form={form} name="period" label="Period" options={periods} />
 */
export function SelectField<Values extends FieldValues, Name extends FieldPath<Values>>({
  options,
  disabled,
  ...field
}: Bound<Values, Name> & Pick<SelectProps<string>, 'options' | 'disabled'>) {
  return (
    <ControlledField {...field}>
      {({ value, onChange, onBlur, ref }) => (
        <Select
          options={options}
          value={value}
          onValueChange={onChange}
          onBlur={onBlur}
          ref={ref}
          {...(disabled ? { disabled } : {})}
        />
      )}
    </ControlledField>
  )
}

/**
 * A number that is not negative, bound to the form; null while it is empty. All decimals there are unless `format` says otherwise.
 * @example <QuantityField form={form} name="limit" label="Limit" unit="events" />
 */
export function QuantityField<Values extends FieldValues, Name extends FieldPath<Values>>({
  min = 0,
  max,
  format = { maximumFractionDigits: 20 },
  unit,
  stepper,
  placeholder,
  ...field
}: Bound<Values, Name> & Omit<NumberFieldProps, 'value' | 'onValueChange' | 'onBlur' | 'ref'>) {
  const number = { min, max, format, unit, stepper, placeholder }
  return (
    <ControlledField {...field}>
      {({ value, onChange, onBlur, ref }) => (
        <NumberField value={value} onValueChange={onChange} onBlur={onBlur} ref={ref} {...number} />
      )}
    </ControlledField>
  )
}
