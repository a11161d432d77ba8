'use client'

import { parseAsString, useQueryState } from 'nuqs'
import type { z } from 'zod'
import {
  chartInterval,
  type DailyReport,
  dayIn,
  type Grouping,
  type SeriesOptions,
  toSeries,
  toTotals,
} from '@/features/usage-tracking/components/usage-series'
import type { trendsReport } from '@/features/usage-tracking/schema'
import { type Page, toQuery } from '@/libs/ui/api-client'
import { DateRangePicker, describeRange, useDateRange } from '@/libs/ui/date-range'
import { formatNumber, formatPercent, formatQuantity } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import { Select } from '@/libs/ui/select'
import { TimeZoneProvider, useNow, useTimeZone } from '@/libs/ui/time'
import { UsageChart, useChartState } from '@/libs/ui/usage-chart'
import { useApi } from '@/libs/ui/use-api'

type TrendsReport = z.infer<typeof trendsReport>
type MeterChoice = { slug: string; name: string }

const ALL = 'all'

/**
 * Usage over time with meter, range, grouping and comparison in the URL. `meter` and `customer` fix what it is about.
 * All meters together are shown as numbers of events, because their units do not add up.
 */
export function UsageExplorer({
  meter: fixedMeter,
  customer,
  listsMeters = true,
  refreshMs,
}: {
  meter?: string
  customer?: string
  /** False for those who may see usage but not the list of meters: they choose among those with usage. */
  listsMeters?: boolean
  /** Asks again after so many milliseconds, while the page is visible. */
  refreshMs?: number
}) {
  const range = useDateRange('30d')
  const chart = useChartState()
  const zone = useTimeZone()
  const now = useNow()
  const [chosen, setChosen] = useQueryState('meter', parseAsString)
  const meters = useApi<Page<MeterChoice>>(fixedMeter || !listsMeters ? null : '/meters?limit=200')
  const meter = fixedMeter ?? chosen
  const group = readGrouping(chart.group, meter, customer)

  const { timeRange: time_range, from, to } = range.params
  const filters = {
    meter,
    customer,
    group_by: group === 'customer' ? 'customer' : 'meter',
    fill: 'true',
    limit: group === 'customer' ? 50 : null,
  }
  const live = refreshMs ? { refreshMs } : {}
  const daily = useApi<DailyReport>(`/usage/daily${toQuery({ ...filters, time_range, from, to })}`, live)
  const trends = useApi<TrendsReport>(`/usage/trends${toQuery({ meter, customer, time_range, from, to })}`, live)
  const before = useApi<DailyReport>(
    chart.compare && trends.data
      ? `/usage/daily${toQuery({ ...filters, group_by: 'meter', limit: null, ...trends.data.previous })}`
      : null,
  )

  const report = daily.data
  const options: SeriesOptions = { meter, group, interval: report ? chartInterval(report.from, report.to) : 'day' }
  const about = report?.meters.find((each) => each.slug === meter)
  const trend = meter ? trends.data?.data.find((each) => each.meter.slug === meter) : undefined
  const choices = meters.data?.data ?? report?.meters ?? []
  const partial = range.preset !== 'custom' || (range.to !== null && now > 0 && range.to >= dayIn(zone, now))

  return (
    // The days of a report are days of the tenant already: they must not be moved by its zone a second time.
    <TimeZoneProvider timeZone="UTC">
      <UsageChart
        title={about?.name ?? (meter ? meter : t('usage.all_meters'))}
        description={
          trend ? (
            <TrendText trend={trend} unit={about?.unit} />
          ) : meter ? (
            describeRange(range)
          ) : (
            t('usage.all_meters_hint')
          )
        }
        series={report ? toSeries(report, options) : undefined}
        interval={options.interval}
        {...(about?.unit ? { unit: about.unit } : {})}
        {...(before.data ? { previous: toTotals(before.data, options) } : {})}
        partial={partial}
        state={chart}
        comparable
        loading={daily.loading}
        refreshing={daily.refreshing && !refreshMs}
        error={daily.error}
        onRetry={daily.reload}
        fileName={`usage-${meter ?? 'events'}${customer ? `-${customer}` : ''}`}
        controls={
          <>
            {fixedMeter ? null : (
              <div className="w-38">
                <Select
                  aria-label={t('usage.meter')}
                  options={[
                    { value: ALL, label: t('usage.all_meters') },
                    ...choices.map(({ slug, name }) => ({ value: slug, label: name })),
                  ]}
                  value={meter ?? ALL}
                  onValueChange={(value) => void setChosen(value === ALL ? null : value)}
                />
              </div>
            )}
            <div className="w-34">
              <Select
                aria-label={t('usage.group')}
                options={groupings(meter, customer).map((value) => ({ value, label: t(`usage.by.${value}`) }))}
                value={group}
                onValueChange={(value) => chart.setGroup(value === groupings(meter, customer)[0] ? null : value)}
              />
            </div>
            <DateRangePicker range={range} />
          </>
        }
      />
    </TimeZoneProvider>
  )
}

/** What usage can be split by: all meters by meter or customer, one meter not at all or by customer. */
function groupings(meter: string | null, customer: string | undefined): readonly [Grouping, ...Grouping[]] {
  if (meter === null) return customer ? ['meter', 'none'] : ['meter', 'customer', 'none']
  return customer ? ['none'] : ['none', 'customer']
}

function readGrouping(value: string | null, meter: string | null, customer: string | undefined): Grouping {
  const offered = groupings(meter, customer)
  return offered.find((grouping) => grouping === value) ?? offered[0]
}

function TrendText({ trend, unit }: { trend: TrendsReport['data'][number]; unit: string | undefined }) {
  const change = trend.change_percent
  const parts = [
    t('usage.trend.total', { amount: formatQuantity(Number(trend.current), unit || undefined) }),
    change === null
      ? null
      : t(change >= 0 ? 'usage.trend.more' : 'usage.trend.less', {
          percent: formatPercent(Math.abs(change) / 100, true),
        }),
    t('usage.trend.forecast', { amount: formatNumber(Math.round(trend.forecast.used)) }),
  ]
  return <>{parts.filter(Boolean).join(' · ')}</>
}
