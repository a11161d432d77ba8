'use client'

import { Radio } from '@base-ui/react/radio'
import { RadioGroup } from '@base-ui/react/radio-group'
import type { ReactNode } from 'react'
import { cx } from '@/libs/ui/cx'

/**
 * One of two to five short choices in a row, such as "Chart | Table".
 * @example <Segmented label="View" options={[{ value: 'chart', label: 'Chart' }]} value={view} onValueChange={setView} />
 */
export function Segmented<Value extends string>({
  label,
  options,
  value,
  onValueChange,
  className,
}: {
  label: string
  options: ReadonlyArray<{ value: Value; label: string; icon?: ReactNode; hideLabel?: boolean }>
  value: Value
  onValueChange: (value: Value) => void
  className?: string
}) {
  return (
    <RadioGroup
      aria-label={label}
      value={value}
      onValueChange={(next) => onValueChange(next as Value)}
      className={cx('inline-flex w-fit rounded-md border bg-sunken p-0.5', className)}
    >
      {options.map((option) => (
        <Radio.Root
          key={option.value}
          value={option.value}
          nativeButton
          render={<button type="button" />}
          aria-label={option.label}
          title={option.hideLabel ? option.label : undefined}
          className={cx(
            'inline-flex h-7 min-w-7 items-center justify-center gap-1.5 rounded-[5px] border border-transparent px-2.5 text-mute text-xs transition-colors pointer-coarse:h-9',
            'hover:text-ink data-checked:border-line-strong data-checked:bg-surface data-checked:font-medium data-checked:text-ink data-checked:shadow-card',
            "dark:data-checked:bg-hover [&_svg:not([class*='size-'])]:size-3.5",
          )}
        >
          {option.icon}
          {option.hideLabel ? null : option.label}
        </Radio.Root>
      ))}
    </RadioGroup>
  )
}
