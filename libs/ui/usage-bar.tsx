'use client'

import { Meter } from '@base-ui/react/meter'
import { CircleAlert, CircleSlash, OctagonX, TrendingUp } from 'lucide-react'
import { type ReactNode, useId } from 'react'
import { cx } from '@/libs/ui/cx'
import { formatEstimate, formatPercent, formatQuantity, type Numeric } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import { Time } from '@/libs/ui/time'

export type UsageLevel = 'excluded' | 'ok' | 'near' | 'reached'

/** `near` from 80 % of the cap, `reached` from 100 %, or from anything at all of a cap of zero; `excluded` while nothing of that was used. */
export function usageLevel(used: number, cap: number | null): UsageLevel {
  if (cap === null) return 'ok'
  if (cap === 0 && used <= 0) return 'excluded'
  if (used >= cap) return 'reached'
  return used >= cap * 0.8 ? 'near' : 'ok'
}

/**
 * Used, cap, reset date and projection of one meter; 80 % and 100 % are said in words and icon, not by colour alone.
 * @example <UsageBar label="API calls" used={850} cap={1000} unit="calls" resetsAt={period_end} />
 */
export function UsageBar({
  label,
  used: usedText,
  cap: capText,
  unit,
  resetsAt,
  projected,
  reserved = 0,
  overflow = false,
}: {
  label: ReactNode
  used: Numeric
  /** null: no cap. */
  cap: Numeric | null
  unit?: string
  resetsAt?: string | null
  /** Where this pace leads by the reset: the forecast of the API. */
  projected?: number | null
  /** Held by reservations that are not settled. */
  reserved?: number
  /** The cap may be passed: usage beyond it is charged or only noted. */
  overflow?: boolean
}) {
  const id = useId()
  const used = Number(usedText)
  const cap = capText === null ? null : Number(capText)
  const level = usageLevel(used, cap)
  const share = cap === null || used <= 0 ? 0 : cap === 0 ? 1 : used / cap
  const width = `${Math.min(100, share * 100)}%`
  const over = cap !== null && used > cap
  const sentence =
    capText === null
      ? t('ui.usage.noCap')
      : t('ui.usage.of', { used: formatQuantity(usedText, unit), cap: formatQuantity(capText, unit) })
  const notices = {
    excluded: () => t(overflow ? 'ui.usage.excludedOverflow' : 'ui.usage.excluded'),
    ok: () => null,
    near: () => t('ui.usage.near', { percent: formatPercent(Math.floor(share * 100) / 100) }),
    reached: () =>
      over
        ? t('ui.usage.over', { amount: formatQuantity(used - (cap ?? 0), unit) })
        : t(overflow ? 'ui.usage.reachedOverflow' : 'ui.usage.reached'),
  }
  const notice = notices[level]()
  const NoticeIcon = level === 'reached' ? OctagonX : level === 'excluded' ? CircleSlash : CircleAlert
  return (
    <div className="flex min-w-0 flex-col gap-1.5">
      <div className="flex flex-wrap items-baseline justify-between gap-x-4">
        <span id={id} className="wrap-anywhere min-w-0 font-medium text-sm">
          {label}
        </span>
        <span className="tabular wrap-anywhere text-sm">
          <span className="font-medium">
            {formatQuantity(usedText, cap === null ? unit : unit === 'bytes' ? unit : undefined)}
          </span>
          <span className="text-faint">{cap === null ? '' : ` / ${formatQuantity(capText ?? 0, unit)}`}</span>
        </span>
      </div>
      {cap === null ? null : (
        <Meter.Root
          aria-labelledby={id}
          value={Math.round(Math.min(1, share) * 1000) / 10}
          getAriaValueText={() => [sentence, notice].filter(Boolean).join('. ')}
          className="relative h-2 overflow-hidden rounded-full bg-hover"
        >
          <span
            style={{ width }}
            className={cx(
              'block h-full rounded-full',
              level === 'reached' ? 'bg-danger' : level === 'near' ? 'bg-warning' : 'bg-accent',
            )}
          />
          {reserved > 0 && cap > 0 ? (
            <span
              className="hatched absolute inset-y-0 text-accent"
              style={{ left: width, width: `${Math.min(100 - Math.min(100, share * 100), (reserved / cap) * 100)}%` }}
            />
          ) : null}
        </Meter.Root>
      )}
      <div className="flex flex-wrap items-center justify-between gap-x-4 gap-y-0.5 text-faint text-xs">
        <span className="flex flex-wrap items-center gap-x-3 gap-y-0.5">
          {notice ? (
            <span
              className={cx(
                'inline-flex items-center gap-1 font-medium',
                level === 'reached' ? 'text-danger-text' : level === 'near' ? 'text-warning-text' : 'text-mute',
              )}
            >
              <NoticeIcon aria-hidden="true" className="size-3.5" />
              {notice}
            </span>
          ) : null}
          {projected && cap !== null && (level === 'ok' || level === 'near') ? (
            <span className="inline-flex items-center gap-1">
              <TrendingUp aria-hidden="true" className="size-3.5" />
              {t(projected > cap ? 'ui.usage.projectedOver' : 'ui.usage.projected', {
                amount: formatEstimate(projected, unit),
              })}
            </span>
          ) : null}
        </span>
        {resetsAt ? (
          <span>
            {t('ui.usage.resets')} <Time value={resetsAt} mode="date" />
          </span>
        ) : null}
      </div>
    </div>
  )
}
