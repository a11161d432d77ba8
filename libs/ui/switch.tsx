'use client'

import { Switch as Base } from '@base-ui/react/switch'
import { type ReactNode, useId } from 'react'
import { cx } from '@/libs/ui/cx'

export type SwitchProps = {
  checked: boolean
  onCheckedChange: (checked: boolean) => void
  label: ReactNode
  description?: ReactNode
  className?: string
}

/**
 * On or off, at once; where a Save button follows, a Checkbox is clearer.
 * @example <Switch checked={on} onCheckedChange={setOn} label="Reject over the cap" />
 */
export function Switch({ checked, onCheckedChange, label, description, className }: SwitchProps) {
  const id = useId()
  return (
    <div className={cx('flex items-start justify-between gap-4', className)}>
      <div className="min-w-0">
        <label id={`${id}-label`} htmlFor={id} className="block font-medium text-ink text-sm">
          {label}
        </label>
        {description ? (
          <p id={`${id}-description`} className="text-faint text-xs">
            {description}
          </p>
        ) : null}
      </div>
      <Base.Root
        id={id}
        checked={checked}
        onCheckedChange={(next) => onCheckedChange(next)}
        aria-labelledby={`${id}-label`}
        aria-describedby={description ? `${id}-description` : undefined}
        className={cx(
          "relative mt-px h-5 w-9 shrink-0 rounded-full border border-control bg-sunken p-px transition-colors after:absolute after:-inset-1.5 after:content-['']",
          'data-checked:border-accent data-checked:bg-accent',
        )}
      >
        <Base.Thumb className="block size-4 rounded-full bg-control transition-transform data-checked:translate-x-4 data-checked:bg-accent-ink" />
      </Base.Root>
    </div>
  )
}
