'use client'

import { NumberField as Base } from '@base-ui/react/number-field'
import { Minus, Plus } from 'lucide-react'
import type { ReactNode, Ref } from 'react'
import { cx } from '@/libs/ui/cx'
import { useFieldControl } from '@/libs/ui/field'
import { t } from '@/libs/ui/messages'

export type NumberFieldProps = {
  value: number | null
  onValueChange: (value: number | null) => void
  min?: number
  max?: number
  /** How the number is written, for example `{ maximumFractionDigits: 2 }`. */
  format?: Intl.NumberFormatOptions
  unit?: ReactNode
  /** Buttons for one step less and more. */
  stepper?: boolean
  placeholder?: string
  onBlur?: () => void
  ref?: Ref<HTMLInputElement>
}

/**
 * A number with thousands separators; empty is null. Arrow keys step, shift steps by ten.
 * @example <NumberField value={cap} onValueChange={setCap} min={0} unit="events" />
 */
export function NumberField({ unit, stepper = false, placeholder, onBlur, ref, ...props }: NumberFieldProps) {
  const { labelId: _, id, ...aria } = useFieldControl()
  const button =
    'flex w-9 items-center justify-center text-mute hover:bg-hover hover:text-ink disabled:opacity-40 focus-visible:-outline-offset-2'
  return (
    <Base.Root {...props} id={id} locale="en">
      <Base.Group
        className={cx(
          'flex h-8.5 items-stretch overflow-hidden rounded-md border border-control bg-surface shadow-card pointer-coarse:h-10',
          'focus-within:border-focus focus-within:outline-2 focus-within:outline-focus has-aria-invalid:border-danger',
        )}
      >
        {stepper ? (
          <Base.Decrement aria-label={t('ui.number.less')} className={cx(button, 'border-r')}>
            <Minus className="size-3.5" />
          </Base.Decrement>
        ) : null}
        <Base.Input
          {...aria}
          ref={ref}
          onBlur={onBlur}
          placeholder={placeholder}
          className="control-text tabular min-w-0 flex-1 bg-transparent px-3 text-ink outline-none disabled:bg-sunken disabled:text-faint"
        />
        {unit ? (
          <span className="flex max-w-2/5 items-center border-l bg-sunken px-2.5 text-faint text-sm">
            <span className="truncate">{unit}</span>
          </span>
        ) : null}
        {stepper ? (
          <Base.Increment aria-label={t('ui.number.more')} className={cx(button, 'border-l')}>
            <Plus className="size-3.5" />
          </Base.Increment>
        ) : null}
      </Base.Group>
    </Base.Root>
  )
}
