'use client'

import { parseAsString, useQueryState } from 'nuqs'
import type { z } from 'zod'
import { formatMetric, keyOf, type MetricsReport, metricName, unitOf } from '@/features/metrics/components/metric-text'
import { MetricTile } from '@/features/metrics/components/metric-tile'
import type { metricDaysReport, metricTrendsReport } from '@/features/metrics/schema'
import { toQuery } from '@/libs/ui/api-client'
import { Card } from '@/libs/ui/card'
import { CodeSnippet } from '@/libs/ui/code-snippet'
import { cx } from '@/libs/ui/cx'
import { DateRangePicker, useDateRange } from '@/libs/ui/date-range'
import { httpSnippets } from '@/libs/ui/http-snippets'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { Select } from '@/libs/ui/select'
import { Loading, Skeleton } from '@/libs/ui/skeleton'
import { ErrorState } from '@/libs/ui/states'
import { TimeZoneProvider } from '@/libs/ui/time'
import { UsageChart } from '@/libs/ui/usage-chart'
import { useApi } from '@/libs/ui/use-api'

type Days = z.infer<typeof metricDaysReport>
type Trends = z.infer<typeof metricTrendsReport>

const REFRESH_MS = 15_000

/** What the tenant does: a tile for each metric, and one of them day by day. `metricsUrl` is where values are sent. */
export function MetricsScreen({ metricsUrl }: { metricsUrl: string }) {
  const [chosen, setChosen] = useQueryState('metric', parseAsString.withDefault('api_calls'))
  const range = useDateRange('30d')
  const report = useApi<MetricsReport>('/metrics', { refreshMs: REFRESH_MS })
  const month = useApi<Days>('/metrics/daily?time_range=30d', { refreshMs: REFRESH_MS })
  const about = report.data?.data.find((row) => keyOf(row) === chosen) ?? report.data?.data[0]
  const { timeRange: time_range, from, to } = range.params
  const days = useApi<Days>(about ? `/metrics/daily${toQuery({ metric: about.metric, time_range, from, to })}` : null, {
    refreshMs: REFRESH_MS,
  })
  const trends = useApi<Trends>(about ? `/metrics/trends${toQuery({ metric: about.metric, time_range: '30d' })}` : null)
  const trend = trends.data?.data.find((row) => about && keyOf(row) === keyOf(about))
  const points = days.data?.data
    .filter((row) => about && keyOf(row) === keyOf(about))
    .map(({ day, value }) => ({ at: `${day}T00:00:00.000Z`, value: Number(value) }))
  const unit = about ? unitOf(about.metric) : undefined

  return (
    <>
      <PageHeader title={t('metrics.title')} description={t('metrics.description')} />
      {report.error && !report.data ? (
        <ErrorState error={report.error} onRetry={report.reload} />
      ) : report.data ? (
        <ul className="mb-6 grid grid-cols-1 gap-3 sm:grid-cols-2 sm:gap-4 xl:grid-cols-4">
          {report.data.data.map((row) => (
            <MetricTile
              key={keyOf(row)}
              row={row}
              values={(month.data?.data ?? [])
                .filter((day) => keyOf(day) === keyOf(row))
                .map(({ value }) => Number(value))}
              current={keyOf(row) === (about ? keyOf(about) : '')}
              onChoose={() => void setChosen(keyOf(row) === 'api_calls' ? null : keyOf(row))}
            />
          ))}
        </ul>
      ) : (
        // How many there are is known with them: what is below comes with them too, and does not move.
        <Loading className="grid grid-cols-1 gap-3 sm:grid-cols-2 sm:gap-4 xl:grid-cols-4">
          {['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((key) => (
            <Skeleton key={key} className="h-36 w-full" />
          ))}
          <Skeleton className="col-span-full mt-2 h-96" />
        </Loading>
      )}
      <div className={cx('flex flex-col gap-6', report.loading && 'hidden')}>
        {report.error && !report.data ? null : (
          <TimeZoneProvider timeZone="UTC">
            <UsageChart
              title={about ? t('metrics.chart', { name: metricName(about) }) : t('metrics.title')}
              description={
                about && trend
                  ? t('metrics.forecast', { value: formatMetric(about, Math.round(trend.forecast.value)) })
                  : about
                    ? t(`metrics.hint.${about.metric}`)
                    : ''
              }
              series={about && points ? [{ key: keyOf(about), label: metricName(about), points }] : undefined}
              interval="day"
              {...(unit ? { unit } : {})}
              partial={about?.kind === 'sum' && range.preset !== 'custom'}
              loading={days.loading || !about}
              error={days.error}
              onRetry={days.reload}
              fileName={about ? keyOf(about) : 'metrics'}
              controls={
                <>
                  <div className="w-44">
                    <Select
                      aria-label={t('metrics.choose')}
                      options={(report.data?.data ?? []).map((row) => ({ value: keyOf(row), label: metricName(row) }))}
                      value={about ? keyOf(about) : null}
                      onValueChange={(value) => void setChosen(value === 'api_calls' ? null : value)}
                    />
                  </div>
                  <DateRangePicker range={range} />
                </>
              }
            />
          </TimeZoneProvider>
        )}
        <Card title={t('metrics.send')} description={t('metrics.send_hint')}>
          <CodeSnippet
            label={t('metrics.send')}
            snippets={httpSnippets({
              method: 'POST',
              url: metricsUrl,
              body: { metric: 'revenue', value: 4999, currency: 'EUR', event_id: 'invoice-1042' },
            })}
          />
        </Card>
      </div>
    </>
  )
}
