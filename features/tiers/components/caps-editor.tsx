'use client'

import { Plus, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { type UseFormReturn, useFieldArray, useWatch } from 'react-hook-form'
import type { TierFormValues } from '@/features/tiers/components/tier-form-values'
import { Button, IconButton } from '@/libs/ui/button'
import { Checkbox } from '@/libs/ui/checkbox'
import { FieldGroup } from '@/libs/ui/field'
import { focusAdder } from '@/libs/ui/focus-adder'
import { QuantityField, SelectField } from '@/libs/ui/form-controls'
import { t } from '@/libs/ui/messages'
import type { ApiState } from '@/libs/ui/use-api'

export type CapMeter = { slug: string; name: string; unit: string; aggregation: string }

/** Aggregations whose unused allowance can carry over. */
const ADDITIVE = ['SUM', 'COUNT']

const newCap = (meter: string): TierFormValues['caps'][number] => ({
  meter,
  limit: null,
  period: 'month',
  behaviour: 'reject',
  rollover_min: null,
  rollover_max: null,
  preserve_overage: false,
})

/** The usage caps of a tier: one row per meter, with limit, period and what happens past it. */
export function CapsEditor({
  form,
  meters,
  state,
}: {
  form: UseFormReturn<TierFormValues>
  meters: readonly CapMeter[]
  /** Whether the meters are there, are being loaded, or could not be. */
  state: Pick<ApiState<unknown>, 'data' | 'error' | 'reload'>
}) {
  const { fields, append, remove } = useFieldArray({ control: form.control, name: 'caps' })
  const caps = useWatch({ control: form.control, name: 'caps' })
  const used = new Set(caps.map((cap) => cap.meter))
  const next = meters.find((meter) => !used.has(meter.slug))

  return (
    <FieldGroup legend={t('tiers.form.caps')} hint={t('tiers.form.caps_hint')}>
      {fields.length > 0 ? (
        <ul className="flex flex-col gap-3">
          {fields.map((field, index) => {
            const chosen = caps[index]?.meter ?? ''
            const meter = meters.find((each) => each.slug === chosen)
            const label = meter?.name ?? chosen
            const options = meters
              .filter((each) => each.slug === chosen || !used.has(each.slug))
              .map((each) => ({ value: each.slug, label: each.name, description: each.slug }))
            const known = chosen === '' || meter ? options : [{ value: chosen, label: chosen }, ...options]
            return (
              <li
                key={field.id}
                className="grid grid-cols-2 items-start gap-3 rounded-lg border bg-sunken p-3 sm:grid-cols-[minmax(0,1.2fr)_minmax(0,1.1fr)_6.5rem_minmax(0,1fr)_auto]"
              >
                <SelectField
                  form={form}
                  name={`caps.${index}.meter`}
                  label={t('tiers.form.meter')}
                  className="max-sm:col-span-2"
                  options={known}
                />
                <QuantityField
                  form={form}
                  name={`caps.${index}.limit`}
                  label={t('tiers.form.limit')}
                  {...(meter?.unit ? { unit: meter.unit } : {})}
                />
                <SelectField
                  form={form}
                  name={`caps.${index}.period`}
                  label={t('tiers.form.period')}
                  options={(['month', 'day'] as const).map((value) => ({
                    value,
                    label: t(`tiers.period.${value}`),
                  }))}
                />
                <SelectField
                  form={form}
                  name={`caps.${index}.behaviour`}
                  label={t('tiers.form.behaviour')}
                  options={(['reject', 'overflow', 'cap'] as const).map((value) => ({
                    value,
                    label: t(`tiers.behaviour.${value}`),
                    description: t(`tiers.behaviour.${value}_hint`),
                  }))}
                />
                <IconButton
                  label={t('tiers.form.remove_cap', { name: label })}
                  icon={<Trash2 />}
                  onClick={(event) => {
                    focusAdder(event.currentTarget)
                    remove(index)
                  }}
                  className="mt-6.5 max-sm:mt-6 max-sm:justify-self-end"
                />
                {meter && ADDITIVE.includes(meter.aggregation) ? (
                  <CapReset form={form} index={index} unit={meter.unit} />
                ) : null}
              </li>
            )
          })}
        </ul>
      ) : (
        <p className="rounded-lg border border-dashed px-4 py-5 text-center text-faint text-sm">
          {t('tiers.form.no_caps')}
        </p>
      )}
      <div>
        <Button
          data-adds=""
          size="sm"
          icon={<Plus />}
          disabled={!next}
          onClick={() => next && append(newCap(next.slug))}
        >
          {t('tiers.form.add_cap')}
        </Button>
        {state.data && meters.length === 0 ? (
          <span className="ml-3 text-faint text-sm">{t('tiers.form.no_meters')}</span>
        ) : state.error && !state.data ? (
          <span role="alert" className="ml-3 text-danger-text text-sm">
            {t('tiers.form.meters_failed')}{' '}
            <Button variant="link" onClick={state.reload}>
              {t('ui.retry')}
            </Button>
          </span>
        ) : null}
      </div>
    </FieldGroup>
  )
}

/** What happens to a cap at its reset: what carries over of what is left, and whether overage does. */
function CapReset({ form, index, unit }: { form: UseFormReturn<TierFormValues>; index: number; unit: string }) {
  const cap = useWatch({ control: form.control, name: `caps.${index}` })
  const [startsOpen] = useState(Boolean(cap.rollover_max) || cap.preserve_overage)
  return (
    <details open={startsOpen} className="col-span-full border-t pt-2">
      <summary className="cursor-pointer py-1 font-medium text-mute text-sm">{t('tiers.form.reset')}</summary>
      <div className="grid items-start gap-3 pt-2 pb-1 sm:grid-cols-2 lg:grid-cols-3">
        {(['rollover_max', 'rollover_min'] as const).map((name) => (
          <QuantityField
            key={name}
            form={form}
            name={`caps.${index}.${name}`}
            label={t(`tiers.form.${name}`)}
            hint={t(`tiers.form.${name}_hint`)}
            placeholder="0"
            {...(unit ? { unit } : {})}
          />
        ))}
        <Checkbox
          checked={cap.preserve_overage}
          onCheckedChange={(on) => form.setValue(`caps.${index}.preserve_overage`, on, { shouldDirty: true })}
          label={t('tiers.form.preserve_overage')}
          description={t('tiers.form.preserve_overage_hint')}
          className="lg:mt-6.5"
        />
      </div>
    </details>
  )
}
