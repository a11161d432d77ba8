'use client'

import { Checkbox as Base } from '@base-ui/react/checkbox'
import { Check } from 'lucide-react'
import { type ReactNode, useId } from 'react'
import { cx } from '@/libs/ui/cx'

export type CheckboxProps = {
  checked: boolean
  onCheckedChange: (checked: boolean) => void
  label: ReactNode
  description?: ReactNode
  hideLabel?: boolean
  disabled?: boolean
  className?: string
}

/**
 * A box to tick, with its label; the whole line can be clicked.
 * @example <Checkbox checked={agreed} onCheckedChange={setAgreed} label="I stored it" />
 */
export function Checkbox({
  checked,
  onCheckedChange,
  label,
  description,
  hideLabel = false,
  disabled,
  className,
}: CheckboxProps) {
  const id = useId()
  return (
    <div className={cx('flex items-start gap-2.5', className)}>
      <Base.Root
        id={id}
        checked={checked}
        onCheckedChange={(next) => onCheckedChange(next)}
        disabled={disabled}
        aria-labelledby={`${id}-label`}
        aria-describedby={description ? `${id}-description` : undefined}
        className={cx(
          "relative mt-px flex size-4.5 shrink-0 items-center justify-center rounded-sm border border-control bg-surface transition-colors after:absolute after:-inset-1.5 after:content-['']",
          'data-checked:border-accent data-checked:bg-accent data-disabled:opacity-50',
        )}
      >
        <Base.Indicator className="text-accent-ink">
          <Check strokeWidth={3} className="size-3.5" />
        </Base.Indicator>
      </Base.Root>
      <div className={cx('min-w-0', hideLabel && 'sr-only')}>
        <label id={`${id}-label`} htmlFor={id} className={cx('block text-ink text-sm', disabled && 'text-faint')}>
          {label}
        </label>
        {description ? (
          <p id={`${id}-description`} className="text-faint text-xs">
            {description}
          </p>
        ) : null}
      </div>
    </div>
  )
}
