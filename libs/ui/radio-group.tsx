'use client'

import { Radio } from '@base-ui/react/radio'
import { RadioGroup as Base } from '@base-ui/react/radio-group'
import { type ReactNode, useId } from 'react'
import { cx } from '@/libs/ui/cx'

export type RadioOption<Value extends string = string> = {
  value: Value
  label: ReactNode
  description?: ReactNode
  disabled?: boolean
}

/**
 * One of a few options, all visible. `cards` draws each as a box. Put it in a FieldGroup, which names it.
 * @example <RadioGroup label="When the cap is reached" options={modes} value={mode} onValueChange={setMode} cards />
 */
export function RadioGroup<Value extends string>({
  label,
  options,
  value,
  onValueChange,
  cards = false,
  disabled,
  className,
}: {
  label: string
  options: ReadonlyArray<RadioOption<Value>>
  value: Value | null
  onValueChange: (value: Value) => void
  cards?: boolean
  disabled?: boolean
  className?: string
}) {
  const id = useId()
  return (
    <Base
      aria-label={label}
      value={value}
      onValueChange={(next) => onValueChange(next as Value)}
      disabled={disabled}
      className={cx('flex flex-col', cards ? 'gap-2' : 'gap-3', className)}
    >
      {options.map((option) => {
        const optionId = `${id}-${option.value}`
        return (
          <label
            key={option.value}
            htmlFor={optionId}
            className={cx(
              'flex items-start gap-2.5',
              cards &&
                'rounded-lg border border-line-strong bg-surface p-3 shadow-card has-data-checked:border-accent has-data-checked:bg-accent-soft',
              option.disabled && 'opacity-60',
            )}
          >
            <Radio.Root
              id={optionId}
              value={option.value}
              disabled={option.disabled}
              aria-labelledby={`${optionId}-label`}
              aria-describedby={option.description ? `${optionId}-description` : undefined}
              className="relative mt-px flex size-4.5 shrink-0 items-center justify-center rounded-full border border-control bg-surface transition-colors after:absolute after:-inset-1.5 after:content-[''] data-checked:border-accent data-checked:bg-accent"
            >
              <Radio.Indicator className="size-2 rounded-full bg-accent-ink" />
            </Radio.Root>
            <span className="min-w-0">
              <span id={`${optionId}-label`} className="block font-medium text-ink text-sm">
                {option.label}
              </span>
              {option.description ? (
                <span id={`${optionId}-description`} className="block text-mute text-xs">
                  {option.description}
                </span>
              ) : null}
            </span>
          </label>
        )
      })}
    </Base>
  )
}
