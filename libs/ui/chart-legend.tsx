import { type ChartSeries, seriesColor } from '@/libs/ui/chart-data'
import { cx } from '@/libs/ui/cx'
import { t } from '@/libs/ui/messages'

/** Which colour is which series, and that the dashed line is the period before. */
export function ChartLegend({
  title,
  series,
  compared,
  className,
}: {
  /** Of the chart: a single series of the same name needs no telling. */
  title: string
  series: readonly ChartSeries[]
  compared: boolean
  className?: string
}) {
  return (
    <ul className={cx('flex min-w-0 flex-1 flex-wrap content-center gap-x-4 gap-y-1 text-mute text-xs', className)}>
      {series.length > 1 || series.some(({ label }) => label !== title)
        ? series.map((item, index) => (
            <li key={item.key} className="inline-flex min-w-0 max-w-64 items-center gap-1.5" title={item.label}>
              <span
                aria-hidden="true"
                className="size-2.5 shrink-0 rounded-[2px]"
                style={{ background: seriesColor(index) }}
              />
              <span className="truncate">{item.label}</span>
            </li>
          ))
        : null}
      {compared ? (
        <li className="inline-flex items-center gap-1.5">
          <span aria-hidden="true" className="w-4 border-t-2 border-faint border-dashed" />
          {t('ui.chart.previous')}
        </li>
      ) : null}
    </ul>
  )
}
