'use client'

import { formatMetric, type MetricRow, metricName } from '@/features/metrics/components/metric-text'
import { cx } from '@/libs/ui/cx'
import { t } from '@/libs/ui/messages'
import { Sparkline } from '@/libs/ui/sparkline'

/** A metric in short: this month (or now), today, and the last 30 days as a line. Chooses what the chart shows. */
export function MetricTile({
  row,
  values,
  current,
  onChoose,
}: {
  row: MetricRow
  values: readonly number[]
  current: boolean
  onChoose: () => void
}) {
  // Gauges are measured every few minutes; a tenant made just now has none, which is not the same as zero.
  const waiting = row.kind === 'gauge' && row.updated_at === null
  return (
    <li className="min-w-0">
      <button
        type="button"
        aria-pressed={current}
        onClick={onChoose}
        className={cx(
          'flex h-full w-full min-w-0 flex-col items-start rounded-lg border bg-surface px-4 py-3.5 text-left shadow-card hover:border-line-strong',
          current && 'border-accent',
        )}
      >
        <span className="text-mute text-sm">{metricName(row)}</span>
        <span className="mt-1 flex w-full items-end justify-between gap-3">
          <span className="tabular max-w-full shrink-0 truncate font-semibold text-2xl tracking-tight">
            {waiting ? '–' : formatMetric(row, row.period)}
          </span>
          {/* The figure is whole; where there is no room beside it, the line shows the later days. */}
          <span className="flex min-w-0 justify-end overflow-hidden [&>svg]:shrink-0">
            <Sparkline values={values} />
          </span>
        </span>
        <span className="mt-1 text-faint text-xs">
          {waiting
            ? t('metrics.not_yet')
            : row.kind === 'gauge'
              ? t('metrics.now')
              : `${t('metrics.this_month')} · ${t('metrics.today', { value: formatMetric(row, row.today) })}`}
        </span>
        <span className="text-faint text-xs">{t(`metrics.hint.${row.metric}`)}</span>
      </button>
    </li>
  )
}
