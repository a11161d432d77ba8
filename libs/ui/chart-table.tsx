'use client'

import { bucketLabel, type ChartBucket, type ChartInterval, type ChartSeries, formatFigure } from '@/libs/ui/chart-data'
import { cx } from '@/libs/ui/cx'
import { t } from '@/libs/ui/messages'

/** The figures of a chart as a table, the newest first, as high as the chart would be. */
export function ChartTable({
  title,
  buckets,
  series,
  interval,
  timeZone,
  unit,
  height,
  sums,
}: {
  title: string
  buckets: readonly ChartBucket[]
  series: readonly ChartSeries[]
  interval: ChartInterval
  timeZone: string
  unit?: string
  height: number
  sums: boolean
}) {
  const compared = buckets.some((bucket) => bucket.previous !== null)
  const head = 'sticky top-0 border-b bg-surface px-2 py-1.5 font-medium text-faint text-xs whitespace-nowrap'
  return (
    <section
      aria-label={t('ui.chart.tableOf', { title })}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
      tabIndex={0}
      style={{ height }}
      className="scrollbar-thin relative overflow-auto rounded-sm"
    >
      <table className="w-full text-sm">
        <caption className="sr-only">{title}</caption>
        <thead>
          <tr>
            <th scope="col" className={cx(head, 'left-0 z-10 text-left')}>
              {t('ui.chart.time')}
            </th>
            {series.map((item) => (
              <th key={item.key} scope="col" className={cx(head, 'text-right')}>
                {item.label}
              </th>
            ))}
            {sums && series.length > 1 ? (
              <th scope="col" className={cx(head, 'text-right')}>
                {t('ui.chart.total')}
              </th>
            ) : null}
            {compared ? (
              <th scope="col" className={cx(head, 'text-right')}>
                {t('ui.chart.previous')}
              </th>
            ) : null}
          </tr>
        </thead>
        <tbody>
          {buckets.toReversed().map((bucket) => (
            <tr key={bucket.at}>
              <th
                scope="row"
                className="sticky left-0 whitespace-nowrap border-b bg-surface px-2 py-1.5 text-left font-normal"
              >
                {bucketLabel(bucket.at, interval, timeZone)}
                {bucket.partial ? <span className="text-faint"> · {t('ui.chart.partial')}</span> : null}
              </th>
              {bucket.values.map((value, index) => (
                <td key={series[index]?.key} className="border-b px-2 py-1.5 text-right">
                  {value === null ? '–' : formatFigure(value, unit)}
                </td>
              ))}
              {sums && series.length > 1 ? (
                <td className="border-b px-2 py-1.5 text-right font-medium">{formatFigure(bucket.total, unit)}</td>
              ) : null}
              {compared ? (
                <td className="border-b px-2 py-1.5 text-right text-mute">
                  {bucket.previous === null ? '–' : formatFigure(bucket.previous, unit)}
                </td>
              ) : null}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
