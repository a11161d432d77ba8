import {
  bucketLabel,
  type ChartBucket,
  type ChartInterval,
  type ChartSeries,
  formatFigure,
  seriesColor,
} from '@/libs/ui/chart-data'
import { t } from '@/libs/ui/messages'

export type BucketTipProps = {
  bucket: ChartBucket
  series: readonly ChartSeries[]
  interval: ChartInterval
  timeZone: string
  unit?: string
  sums?: boolean
  /** A click on the bucket shows it closer. */
  closer?: boolean
}

/** The figures of one bucket, beside the pointer or where the keyboard is. */
export function BucketTip({ bucket, series, interval, timeZone, unit, sums = true, closer = false }: BucketTipProps) {
  return (
    <div className="min-w-36 max-w-80 rounded-md border bg-raised px-3 py-2 text-xs shadow-pop">
      <p className="mb-1 font-medium">
        {bucketLabel(bucket.at, interval, timeZone)}
        {bucket.partial ? <span className="font-normal text-faint"> · {t('ui.chart.partial')}</span> : null}
      </p>
      {series.map((item, index) => (
        <p key={item.key} className="flex items-center gap-2">
          <span
            aria-hidden="true"
            className="size-2 shrink-0 rounded-[2px]"
            style={{ background: seriesColor(index) }}
          />
          <span className="min-w-0 flex-1 truncate text-mute">{item.label}</span>
          <span className="tabular font-medium">{showValue(bucket.values[index], unit)}</span>
        </p>
      ))}
      {sums && series.length > 1 ? (
        <p className="mt-1 flex justify-between gap-4 border-t pt-1">
          <span className="text-mute">{t('ui.chart.total')}</span>
          <span className="tabular font-medium">{formatFigure(bucket.total, unit)}</span>
        </p>
      ) : null}
      {bucket.previous === null ? null : (
        <p className="mt-1 flex justify-between gap-4 text-faint">
          <span>{t('ui.chart.previous')}</span>
          <span className="tabular">{formatFigure(bucket.previous, unit)}</span>
        </p>
      )}
      {closer ? <p className="mt-1.5 text-faint">{t('ui.chart.closer')}</p> : null}
    </div>
  )
}

const showValue = (value: number | null | undefined, unit: string | undefined): string =>
  value === null || value === undefined ? '–' : formatFigure(value, unit)
