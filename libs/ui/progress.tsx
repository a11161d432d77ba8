'use client'

import { Progress as Base } from '@base-ui/react/progress'
import type { ReactNode } from 'react'
import { cx } from '@/libs/ui/cx'
import { formatNumber, formatPercent } from '@/libs/ui/format'

/**
 * How far something long has come; without `max` it moves without an end in sight. Announced by its role.
 * @example <ProgressBar label="Exporting" value={1200} max={5000} unit="rows" />
 */
export function ProgressBar({
  label,
  value,
  max,
  unit,
  hideLabel = false,
}: {
  label: string
  value: number
  max: number | null
  unit?: string
  hideLabel?: boolean
}) {
  const share = max ? Math.min(1, Math.max(0, value / max)) : null
  const status: ReactNode = max
    ? unit
      ? `${formatNumber(value)} / ${formatNumber(max)} ${unit}`
      : formatPercent(share ?? 0)
    : unit
      ? `${formatNumber(value)} ${unit}`
      : ''
  return (
    <Base.Root
      value={share === null ? null : Math.round(share * 100)}
      aria-label={hideLabel ? label : undefined}
      aria-valuetext={typeof status === 'string' && status ? status : undefined}
      className="flex flex-col gap-1.5"
    >
      {hideLabel ? null : (
        <div className="flex items-baseline justify-between gap-4 text-sm">
          <Base.Label className="font-medium">{label}</Base.Label>
          <span className="tabular text-faint text-xs">{status}</span>
        </div>
      )}
      <Base.Track className="h-1.5 overflow-hidden rounded-full bg-hover">
        <Base.Indicator
          className={cx(
            'h-full rounded-full bg-accent transition-[width] duration-300',
            share === null && 'w-1/3 animate-pulse-soft',
          )}
        />
      </Base.Track>
    </Base.Root>
  )
}
