import { type ChartSeries, seriesColor } from '@/libs/ui/chart-data'
import { t } from '@/libs/ui/messages'

/** Which colour is which series, and that the dashed line is the period before. */
export function ChartLegend({ series, compared }: { series: readonly ChartSeries[]; compared: boolean }) {
  return (
    <ul className="flex min-w-0 flex-wrap gap-x-4 gap-y-1 text-mute text-xs">
      {series.length > 1
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
