'use client'

import { type ReactNode, useEffect, useMemo, useState } from 'react'
import type { z } from 'zod'
import {
  FilterChips,
  FilterPopover,
  GroupMenu,
  WindowSelect,
  ZoneInput,
} from '@/features/usage-tracking/components/explorer-controls'
import { ExplorerProblem } from '@/features/usage-tracking/components/explorer-problem'
import {
  CUSTOMER,
  daysOfBucket,
  daysOfRange,
  explorerQuery,
  fits,
  fittingWindow,
  intervalOf,
  spanOf,
  useExplorerState,
} from '@/features/usage-tracking/components/explorer-state'
import {
  addsUp,
  countLeftOut,
  toChartSeries,
  toPreviousPoints,
} from '@/features/usage-tracking/components/meter-series'
import { SeriesFigures, SeriesFiguresSkeleton } from '@/features/usage-tracking/components/series-figures'
import type { trendsReport } from '@/features/usage-tracking/schema'
import type { UsageSeries } from '@/libs/metering/usage-query'
import { dayIn } from '@/libs/tenancy/zoned-day'
import { apiUrl, toQuery } from '@/libs/ui/api-client'
import type { ChartBucket } from '@/libs/ui/chart-data'
import { useChartState } from '@/libs/ui/chart-state'
import { DateRangePicker, describeRange, useDateRange } from '@/libs/ui/date-range'
import { formatEstimate, formatPercent, formatQuantity } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import { TimeZoneProvider, useTimeZone } from '@/libs/ui/time'
import { UsageChart } from '@/libs/ui/usage-chart'
import { useApi, useApiPath } from '@/libs/ui/use-api'

type Trends = z.infer<typeof trendsReport>

/**
 * The usage of one meter: range, windows, time zone, groups and filters in the URL; chart, and with `figures` a table of
 * the exact ones. `customer` (id or external id) fixes whose it is; `meterSelect` stands before the other controls.
 */
export function MeterExplorer({
  meter,
  customer,
  meterSelect,
  onAllMeters,
  figures = false,
  refreshMs,
}: {
  meter: string
  customer?: string
  meterSelect?: ReactNode
  /** Leaves this meter for all of them; the way on from one that is not there. */
  onAllMeters?: () => void
  figures?: boolean
  refreshMs?: number
}) {
  const range = useDateRange('30d')
  const chart = useChartState()
  const explorer = useExplorerState()
  const ownZone = useTimeZone()
  const toPath = useApiPath()

  const days = daysOfRange(range)
  const window = explorer.window && fits(explorer.window, days) ? explorer.window : fittingWindow(days)
  const span = spanOf(range)
  const customers = customer ? [customer] : explorer.customers
  const asked = { ...explorer, customers, range: span, window }
  const base = `/meters/${encodeURIComponent(meter)}/query`
  const live = refreshMs ? { refreshMs } : {}
  const question = base + explorerQuery({ ...asked, fill: true })
  // Thousands of groups are more than an answer holds with their empty windows: they are asked for without, and less often.
  const [tooLarge, setTooLarge] = useState<string | null>(null)
  const sparse = tooLarge === question
  const state = useApi<UsageSeries>(
    sparse ? base + explorerQuery({ ...asked, fill: false }) : question,
    sparse && refreshMs ? { refreshMs: Math.max(refreshMs, 30_000) } : live,
  )
  const refused = state.error?.status === 422 && explorer.groups.length > 0
  useEffect(() => {
    if (refused) setTooLarge(question)
  }, [refused, question])
  const series = state.data?.meter.slug === meter || state.data?.meter.id === meter ? state.data : undefined

  const whole = { groups: [], filters: explorer.filters, customers, zone: explorer.zone }
  const windows = useApi<UsageSeries>(
    sparse ? base + explorerQuery({ ...whole, range: span, window, fill: true }) : null,
    live,
  )
  const shown = useMemo(
    () => (series ? toChartSeries(series, sparse ? windows.data : undefined) : undefined),
    [series, sparse, windows.data],
  )
  const before = series ? spanBefore(series) : null
  const total = useApi<UsageSeries>(base + explorerQuery({ ...whole, range: span, window: null, fill: false }), live)
  const totalBefore = useApi<UsageSeries>(
    before ? base + explorerQuery({ ...whole, range: before, window: null, fill: false }) : null,
  )
  const previous = useApi<UsageSeries>(
    before && chart.compare ? base + explorerQuery({ ...whole, range: before, window, fill: true }) : null,
  )

  // How the month will end is told where amounts add up and nothing is left out of them.
  const foreseen = series && addsUp(series.aggregation) && explorer.filters.length === 0 && customers.length <= 1
  const trends = useApi<Trends>(
    foreseen ? `/usage/trends${toQuery({ meter: series.meter.slug, customer: customers[0], ...span })}` : null,
    live,
  )
  const forecast = foreseen
    ? trends.data?.data.find((each) => each.meter.id === series.meter.id)?.forecast.used
    : undefined

  function showCloser({ at }: ChartBucket) {
    const zone = explorer.zone ?? ownZone
    explorer.set({ window: null })
    range.set(daysOfBucket(dayIn(zone, Date.parse(at)), intervalOf(window), dayIn(zone)), 'push')
  }

  // Of a question that was refused only what it asked for is known.
  const properties = series?.meter.group_by ?? [
    ...new Set([
      ...explorer.groups.filter((key) => key !== CUSTOMER),
      ...explorer.filters.map((each) => each.property),
    ]),
  ]
  const choices = [...(customer ? [] : [CUSTOMER]), ...properties]
  const unit = series?.meter.unit
  const leftOut = useMemo(() => (series ? countLeftOut(series) : 0), [series])
  const controls = (
    <>
      {meterSelect}
      <DateRangePicker range={range} />
      <WindowSelect explorer={explorer} days={days} />
      <ZoneInput explorer={explorer} own={ownZone} />
      {choices.length > 0 ? <GroupMenu explorer={explorer} choices={choices} /> : null}
      <FilterPopover explorer={explorer} properties={properties} fixedCustomer={customer !== undefined} />
      <FilterChips explorer={explorer} fixedCustomer={customer !== undefined} />
    </>
  )
  if (!series && (state.error?.status === 404 || state.error?.status === 422))
    return (
      <ExplorerProblem
        problem={state.error}
        meter={meter}
        meterSelect={meterSelect}
        controls={controls}
        onAllMeters={onAllMeters}
        onClear={() => {
          explorer.set({ groups: [], filters: [], customers: [], zone: null, window: null })
          range.set('30d')
        }}
      />
    )
  return (
    <TimeZoneProvider timeZone={explorer.zone ?? ownZone}>
      <div className="flex min-w-0 flex-col gap-8">
        <UsageChart
          title={series?.meter.name ?? meter}
          description={
            total.data && total.data.meter.id === series?.meter.id ? (
              <ComparisonText now={total.data} before={totalBefore.data} forecast={forecast} leftOut={leftOut} />
            ) : (
              describeRange(range)
            )
          }
          series={shown}
          interval={intervalOf(window)}
          {...(unit ? { unit } : {})}
          {...(previous.data ? { previous: toPreviousPoints(previous.data) } : {})}
          partial={series !== undefined && Date.parse(series.to) > Date.parse(series.as_of)}
          state={chart}
          comparable
          sums={series === undefined || addsUp(series.aggregation)}
          loading={state.loading || (state.refreshing && series === undefined)}
          refreshing={state.refreshing && !refreshMs}
          error={state.error}
          onRetry={state.reload}
          {...(window === 'day' || window === 'week' || window === 'month' ? { onPick: showCloser } : {})}
          csvHref={apiUrl(toPath(`${base}${explorerQuery({ ...asked, fill: false })}&format=csv`))}
          controls={controls}
        />
        {figures && series ? <SeriesFigures series={series} /> : null}
        {figures && !series && !state.error ? <SeriesFiguresSkeleton /> : null}
      </div>
    </TimeZoneProvider>
  )
}

/** The span of the same length that ends where a series begins. */
function spanBefore({ from, to }: UsageSeries): { from: string; to: string } {
  const length = Date.parse(to) - Date.parse(from)
  return { from: new Date(Date.parse(from) - length).toISOString(), to: from }
}

function ComparisonText({
  now,
  before,
  forecast,
  leftOut,
}: {
  now: UsageSeries
  before: UsageSeries | undefined
  forecast: number | undefined
  leftOut: number
}) {
  const value = now.data[0]?.value ?? null
  const earlier = before?.meter.id === now.meter.id ? (before.data[0]?.value ?? null) : null
  const change =
    value !== null && earlier !== null && Number(earlier) !== 0 ? Number(value) / Number(earlier) - 1 : null
  const amount = value === null ? '–' : formatQuantity(value, now.meter.unit || undefined)
  const parts = [
    addsUp(now.aggregation)
      ? t('usage.trend.total', { amount })
      : t('usage.explorer.over_range', { aggregation: t(`meters.aggregation.${readAggregation(now)}`), amount }),
    change === null
      ? null
      : t(change >= 0 ? 'usage.trend.more' : 'usage.trend.less', { percent: formatPercent(Math.abs(change), true) }),
    forecast === undefined
      ? null
      : t('usage.trend.forecast', { amount: formatEstimate(forecast, now.meter.unit || undefined) }),
    leftOut > 0 ? t('usage.explorer.left_out', { count: leftOut }) : null,
  ]
  return <>{parts.filter(Boolean).join(' · ')}</>
}

const NAMED = ['UNIQUE_COUNT', 'MIN', 'MAX', 'AVG', 'LATEST', 'WEIGHTED_SUM'] as const

function readAggregation({ aggregation }: UsageSeries): (typeof NAMED)[number] {
  return NAMED.find((name) => name === aggregation) ?? 'LATEST'
}
