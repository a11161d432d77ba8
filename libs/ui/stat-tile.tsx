import { ArrowDown, ArrowUp, Equal } from 'lucide-react'
import type { ReactNode } from 'react'
import { formatPercent } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import { Loading, Skeleton } from '@/libs/ui/skeleton'

/** The change from before to now as a share; null when there was nothing before. */
export function changeOf(current: number, previous: number): number | null {
  return previous === 0 ? null : (current - previous) / previous
}

/**
 * One figure with its change.
 * @example <StatTile label="Events" value={formatCompact(total)} change={changeOf(total, before)} since="than the 30 days before" />
 */
export function StatTile({
  label,
  value,
  change,
  since,
  hint,
  loading = false,
}: {
  label: ReactNode
  value: ReactNode
  /** A share: 0.12 is 12 % more. */
  change?: number | null
  /** What it is compared with. */
  since?: string
  hint?: ReactNode
  loading?: boolean
}) {
  const direction =
    change === null || change === undefined ? null : Math.abs(change) < 0.0005 ? 'same' : change > 0 ? 'up' : 'down'
  const Icon = direction === 'up' ? ArrowUp : direction === 'down' ? ArrowDown : Equal
  return (
    <div className="min-w-0 rounded-lg border bg-surface px-4 py-3.5 shadow-card">
      <p className="text-mute text-sm">{label}</p>
      {loading ? (
        <Loading className="mt-1.5 flex h-13 flex-col max-sm:h-20 gap-2">
          <Skeleton className="h-6 w-24" />
          <Skeleton className="h-3.5 w-32" />
        </Loading>
      ) : (
        <div className="mt-1 min-h-13.5 max-sm:min-h-20.5">
          <p className="tabular truncate font-semibold text-2xl tracking-tight">{value}</p>
          {direction ? (
            <p className="flex flex-wrap items-center gap-x-1 text-xs">
              <span className="inline-flex items-center gap-0.5 font-medium text-mute">
                <Icon aria-hidden="true" className="size-3.5" />
                {direction === 'same'
                  ? t('ui.stat.same')
                  : t(direction === 'up' ? 'ui.stat.more' : 'ui.stat.less', {
                      percent: formatPercent(Math.abs(change ?? 0), true),
                    })}
              </span>
              {since ? <span className="text-faint">{since}</span> : null}
            </p>
          ) : hint ? (
            <p className="text-faint text-xs">{hint}</p>
          ) : null}
        </div>
      )}
    </div>
  )
}
