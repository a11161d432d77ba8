'use client'

import { parseAsString, useQueryState } from 'nuqs'
import type { ReactNode } from 'react'
import type { z } from 'zod'
import { ExplorerProblem } from '@/features/usage-tracking/components/explorer-problem'
import { CUSTOMER, daysOfBucket, spanOf, useExplorerState } from '@/features/usage-tracking/components/explorer-state'
import { MeterExplorer } from '@/features/usage-tracking/components/meter-explorer'
import {
  chartInterval,
  type DailyReport,
  type Grouping,
  type SeriesOptions,
  toSeries,
  toTotals,
} from '@/features/usage-tracking/components/usage-series'
import type { trendsReport } from '@/features/usage-tracking/schema'
import { dayIn } from '@/libs/tenancy/zoned-day'
import { type Page, toQuery } from '@/libs/ui/api-client'
import type { ChartBucket } from '@/libs/ui/chart-data'
import { useChartState } from '@/libs/ui/chart-state'
import { DateRangePicker, useDateRange } from '@/libs/ui/date-range'
import { t } from '@/libs/ui/messages'
import { Select } from '@/libs/ui/select'
import { TimeZoneProvider, useNow, useTimeZone } from '@/libs/ui/time'
import { UsageChart } from '@/libs/ui/usage-chart'
import { useApi } from '@/libs/ui/use-api'

type TrendsReport = z.infer<typeof trendsReport>
type MeterChoice = { slug: string; name: string; archived_at?: string | null }

const ALL = 'all'

/**
 * Usage over time, everything chosen in the URL. `meter` and `customer` fix what it is about; without a meter all of them
 * are shown as numbers of events, because their units do not add up.
 */
export function UsageExplorer({
  meter: fixedMeter,
  customer,
  listsMeters = true,
  figures = false,
  refreshMs,
}: {
  meter?: string
  customer?: string
  /** False for those who may see usage but not the list of meters: they choose among those with usage. */
  listsMeters?: boolean
  /** A table of the exact figures below the chart of a meter. */
  figures?: boolean
  /** Asks again after so many milliseconds, while the page is visible. */
  refreshMs?: number
}) {
  const [chosen, setChosen] = useQueryState('meter', parseAsString)
  const meters = useApi<Page<MeterChoice>>(fixedMeter || !listsMeters ? null : '/meters?archived=all&limit=200', {
    whole: true,
  })
  // Those who may not list meters choose among the ones of the last month.
  const seen = useApi<DailyReport>(
    fixedMeter || listsMeters || chosen === null ? null : '/usage/daily?time_range=30d&group_by=meter',
  )
  const choices = meters.data?.data ?? seen.data?.meters
  const meter = fixedMeter ?? chosen
  const explorer = useExplorerState()
  const choose = (next: string | null) => {
    // Properties belong to a meter: what the one before was split and filtered by means nothing to the next.
    explorer.set({ groups: explorer.groups.filter((key) => key === CUSTOMER), filters: [] })
    void setChosen(next)
  }
  const fixed = { ...(customer ? { customer } : {}), ...(refreshMs ? { refreshMs } : {}) }
  const select = (offered: readonly MeterChoice[] | undefined) => (
    <div className="w-38">
      <Select
        aria-label={t('usage.meter')}
        options={[
          { value: ALL, label: t('usage.all_meters') },
          ...(meter && !offered ? [{ value: meter, label: meter }] : []),
          ...(offered ?? [])
            .filter(({ slug, archived_at }) => !archived_at || slug === meter)
            .map(({ slug, name }) => ({ value: slug, label: name })),
        ]}
        value={meter && offered && !offered.some(({ slug }) => slug === meter) ? null : (meter ?? ALL)}
        placeholder={t('usage.explorer.choose')}
        onValueChange={(value) => choose(value === ALL ? null : value)}
      />
    </div>
  )
  if (meter) {
    return (
      <MeterExplorer
        meter={meter}
        figures={figures}
        {...(fixedMeter ? {} : { meterSelect: select(choices), onAllMeters: () => choose(null) })}
        {...fixed}
      />
    )
  }
  return <AllMeters {...fixed} meterSelect={(report) => select(choices ?? report?.meters)} />
}

function AllMeters({
  customer,
  refreshMs,
  meterSelect,
}: {
  customer?: string
  refreshMs?: number
  meterSelect: (report: DailyReport | undefined) => ReactNode
}) {
  const range = useDateRange('30d')
  const chart = useChartState()
  const zone = useTimeZone()
  const now = useNow()
  const offered = groupings(customer)
  const group = offered.find((grouping) => grouping === chart.group) ?? offered[0]

  const span = spanOf(range)
  const filters = {
    customer,
    group_by: group === 'customer' ? 'customer' : 'meter',
    fill: 'true',
    limit: group === 'customer' ? 50 : null,
  }
  const live = refreshMs ? { refreshMs } : {}
  const daily = useApi<DailyReport>(`/usage/daily${toQuery({ ...filters, ...span })}`, live)
  const trends = useApi<TrendsReport>(chart.compare ? `/usage/trends${toQuery({ customer, ...span })}` : null, live)
  const before = useApi<DailyReport>(
    chart.compare && trends.data
      ? `/usage/daily${toQuery({ ...filters, group_by: 'meter', limit: null, ...trends.data.previous })}`
      : null,
  )

  const report = daily.data
  const options: SeriesOptions = { group, interval: report ? chartInterval(report.from, report.to) : 'day' }
  const controls = (
    <>
      {meterSelect(report)}
      <div className="w-34">
        <Select
          aria-label={t('usage.group')}
          options={offered.map((value) => ({ value, label: t(`usage.by.${value}`) }))}
          value={group}
          onValueChange={(value) => chart.setGroup(value === offered[0] ? null : value)}
        />
      </div>
      <DateRangePicker range={range} />
    </>
  )
  if (!report && daily.error?.status === 422)
    return (
      <ExplorerProblem problem={daily.error} meterSelect={null} controls={controls} onClear={() => range.set('30d')} />
    )
  const partial = range.preset !== 'custom' || (range.to !== null && now > 0 && range.to >= dayIn(zone, now))
  return (
    // The days of a report are days of the tenant already: they must not be moved by its zone a second time.
    <TimeZoneProvider timeZone="UTC">
      <UsageChart
        title={t('usage.all_meters')}
        description={t('usage.all_meters_hint')}
        series={report ? toSeries(report, options) : undefined}
        interval={options.interval}
        {...(before.data ? { previous: toTotals(before.data, options) } : {})}
        partial={partial}
        state={chart}
        comparable
        loading={daily.loading}
        refreshing={daily.refreshing && !refreshMs}
        error={daily.error}
        onRetry={daily.reload}
        // A day is as close as numbers of events of all meters go.
        {...(options.interval === 'week'
          ? {
              onPick: ({ at }: ChartBucket) =>
                range.set(daysOfBucket(at, 'week', dayIn(zone, now || Date.now())), 'push'),
            }
          : {})}
        fileName={`usage-events${customer ? `-${customer}` : ''}`}
        controls={controls}
      />
    </TimeZoneProvider>
  )
}

/** What the events of all meters can be split by. */
function groupings(customer: string | undefined): readonly [Grouping, ...Grouping[]] {
  return customer ? ['meter', 'none'] : ['meter', 'customer', 'none']
}
