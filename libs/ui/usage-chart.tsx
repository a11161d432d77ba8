'use client'

import { ChartColumn, ChartLine, Download, Table2 } from 'lucide-react'
import { type ReactNode, useId, useMemo, useState } from 'react'
import { Button, buttonClass } from '@/libs/ui/button'
import {
  bucketsToCsv,
  type ChartBucket,
  type ChartInterval,
  type ChartPoint,
  type ChartSeries,
  summarizeBuckets,
  toBuckets,
} from '@/libs/ui/chart-data'
import { ChartLegend } from '@/libs/ui/chart-legend'
import { ChartReader } from '@/libs/ui/chart-reader'
import type { ChartState, ChartView } from '@/libs/ui/chart-state'
import { ChartTable } from '@/libs/ui/chart-table'
import { cx } from '@/libs/ui/cx'
import { saveFile } from '@/libs/ui/download'
import { LatePlot, PlotSkeleton } from '@/libs/ui/late-plot'
import { t } from '@/libs/ui/messages'
import { Segmented } from '@/libs/ui/segmented'
import { Loading } from '@/libs/ui/skeleton'
import { ErrorState } from '@/libs/ui/states'
import { Switch } from '@/libs/ui/switch'
import { useTimeZone } from '@/libs/ui/time'

export type UsageChartProps = {
  title: string
  description?: ReactNode
  series: readonly ChartSeries[] | undefined
  interval: ChartInterval
  unit?: string
  /** The total of the period before, bucket by bucket. */
  previous?: readonly ChartPoint[]
  /** The last bucket is still filling: drawn hatched. */
  partial?: boolean
  state?: ChartState
  /** Offer the comparison (needs `state`, and `previous` while it is on). */
  comparable?: boolean
  loading?: boolean
  refreshing?: boolean
  error?: unknown
  onRetry?: () => void
  height?: number
  /** Name of the CSV file, without its ending. */
  fileName?: string
  /** Where the exact figures are to be had as CSV; without it the figures shown are saved. */
  csvHref?: string
  /** False where figures do not add up, such as averages: nothing is stacked or totalled, and what is missing stays a gap. */
  sums?: boolean
  /** Shows a bucket closer; taken by Enter, or a click on it. */
  onPick?: (bucket: ChartBucket) => void
  /** More controls, such as DateRangePicker and the grouping. */
  controls?: ReactNode
}

/**
 * Usage over time: bars, lines or a table; groups stacked, the period before as a dashed line, CSV, bucket by bucket by keyboard,
 * and the whole in sentences for screen readers. Its height is the same in every state.
 * @example <UsageChart title="API calls" series={series} interval="day" partial state={chart} comparable previous={before} controls={<DateRangePicker range={range} />} />
 */
export function UsageChart({
  title,
  description,
  series,
  interval,
  unit,
  previous,
  partial = false,
  state,
  comparable = false,
  loading = false,
  refreshing = false,
  error,
  onRetry,
  height = 280,
  fileName = 'usage',
  csvHref,
  sums = true,
  onPick,
  controls,
}: UsageChartProps) {
  const id = useId()
  const timeZone = useTimeZone()
  const [ownView, setOwnView] = useState<ChartView>('bar')
  const view = state?.view ?? ownView
  const compared = state ? state.compare : previous !== undefined
  const buckets = useMemo(
    () => toBuckets(series ?? [], compared ? previous : undefined, partial, !sums),
    [series, previous, compared, partial, sums],
  )
  const summary = summarizeBuckets(buckets, { interval, timeZone, sums, ...(unit ? { unit } : {}) })
  const ready = series !== undefined && !(error && !series)

  return (
    <section
      aria-labelledby={`${id}-title`}
      aria-describedby={ready ? `${id}-summary` : undefined}
      className="min-w-0 rounded-lg border bg-surface shadow-card"
    >
      <header className="flex flex-wrap items-start justify-between gap-x-4 gap-y-3 px-4 pt-3.5 sm:px-5">
        {/* Its width is not that of its text: what is said in it comes later, and must not push the controls about. */}
        <div className="min-w-0 flex-1 basis-56">
          <h2 id={`${id}-title`} className="font-semibold text-base tracking-tight">
            {title}
          </h2>
          {description ? <p className="mt-0.5 text-faint text-sm">{description}</p> : null}
        </div>
        <div className="flex flex-wrap items-center gap-2 print:hidden">
          {controls}
          <Segmented
            label={t('ui.chart.view')}
            value={view}
            onValueChange={state?.setView ?? setOwnView}
            options={[
              { value: 'bar', label: t('ui.chart.bars'), icon: <ChartColumn />, hideLabel: true },
              { value: 'line', label: t('ui.chart.lines'), icon: <ChartLine />, hideLabel: true },
              { value: 'table', label: t('ui.chart.table'), icon: <Table2 />, hideLabel: true },
            ]}
          />
          {csvHref ? (
            <a href={csvHref} download className={buttonClass()}>
              <Download aria-hidden="true" className="size-4" />
              {t('ui.chart.csv')}
            </a>
          ) : (
            <Button
              icon={<Download />}
              disabled={!ready || buckets.length === 0}
              onClick={() => saveFile(`${fileName}.csv`, bucketsToCsv(buckets, series ?? []), 'text/csv')}
            >
              {t('ui.chart.csv')}
            </Button>
          )}
        </div>
      </header>
      {comparable || (series && (series.length > 1 || compared)) ? (
        <div className="flex min-h-8 items-center justify-between gap-x-6 gap-y-1.5 px-4 pt-2.5 max-sm:flex-col-reverse max-sm:items-start sm:px-5">
          <ChartLegend
            title={title}
            series={series ?? []}
            compared={compared && previous !== undefined}
            className={state?.group ? 'min-h-9' : 'min-h-4'}
          />
          {comparable && state ? (
            <Switch
              checked={state.compare}
              onCheckedChange={state.setCompare}
              label={<span className="font-normal text-mute">{t('ui.chart.compare')}</span>}
              className="items-center gap-2.5"
            />
          ) : null}
        </div>
      ) : null}
      <div
        aria-busy={refreshing || undefined}
        style={{ minHeight: height }}
        className={cx('px-3 pt-2 pb-4 transition-opacity sm:px-4', refreshing && !loading && 'opacity-60')}
      >
        {error && !series ? (
          <ErrorState error={error} onRetry={onRetry} className="py-6" />
        ) : loading || !series ? (
          <Loading>
            <div style={{ height }}>
              <PlotSkeleton />
            </div>
          </Loading>
        ) : buckets.length === 0 ? (
          <p className="flex items-center justify-center text-faint text-sm" style={{ height }}>
            {t('ui.chart.empty')}
          </p>
        ) : view === 'table' ? (
          <ChartTable
            title={title}
            {...{ buckets, series, interval, timeZone, height, sums }}
            {...(unit ? { unit } : {})}
          />
        ) : (
          <ChartReader
            {...{ title, buckets, series, interval, timeZone, sums }}
            {...(unit ? { unit } : {})}
            {...(onPick ? { onPick } : {})}
          >
            <div style={{ height }}>
              <LatePlot
                kind={view}
                closer={onPick !== undefined}
                {...{ buckets, series, interval, timeZone, height, sums }}
                {...(unit ? { unit } : {})}
              />
            </div>
          </ChartReader>
        )}
      </div>
      {ready ? (
        <p id={`${id}-summary`} className="sr-only">
          {summary}
        </p>
      ) : null}
    </section>
  )
}
