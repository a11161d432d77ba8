'use client'

import { CalendarClock, Gauge, SearchX, TrendingUp } from 'lucide-react'
import { parseAsString, useQueryStates } from 'nuqs'
import type { z } from 'zod'
import type { portalUsage } from '@/features/portal/schema'
import { addDays } from '@/libs/metering/trend'
import { toQuery } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { type Column, DataTable } from '@/libs/ui/data-table'
import { formatDate, formatEstimate, formatQuantity } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { Select } from '@/libs/ui/select'
import { Loading, Skeleton } from '@/libs/ui/skeleton'
import { EmptyState } from '@/libs/ui/states'
import { TimeZoneProvider } from '@/libs/ui/time'
import { UsageChart } from '@/libs/ui/usage-chart'
import { useApi } from '@/libs/ui/use-api'

type Usage = z.infer<typeof portalUsage>
type Period = Usage['periods'][number]

/** What a customer used of a meter, day by day and period by period, and where it leads. Meter and period are in the URL. */
export function PortalUsage() {
  const [{ meter, period }, setChosen] = useQueryStates(
    { meter: parseAsString, period: parseAsString },
    { history: 'replace' },
  )
  const state = useApi<Usage>(`/portal/usage${toQuery({ meter, starts_on: period })}`, { refreshMs: 30_000 })
  const usage = state.data
  const unit = usage?.meter?.unit ?? ''
  const points = usage?.days
    .filter(({ used }) => used !== null)
    .map(({ day, used }) => ({ at: `${day}T00:00:00Z`, value: Number(used) }))

  if (usage && usage.meter === null) {
    return (
      <>
        <PageHeader title={t('portal.usage.title')} description={t('portal.usage.description')} />
        <EmptyState icon={<Gauge />} title={t('portal.usage.no_meters')} description={t('portal.home.no_usage')} />
      </>
    )
  }
  if (!usage && state.error?.status === 422) {
    return (
      <>
        <PageHeader title={t('portal.usage.title')} description={t('portal.usage.description')} />
        <EmptyState
          icon={<SearchX />}
          title={t('portal.usage.wrong')}
          description={t('portal.usage.wrong_text')}
          action={
            <Button onClick={() => void setChosen({ meter: null, period: null })}>
              {t('portal.usage.show_present')}
            </Button>
          }
        />
      </>
    )
  }
  return (
    <>
      <PageHeader title={t('portal.usage.title')} description={t('portal.usage.description')} />
      <div className="flex flex-col gap-6">
        {usage?.period.present ? <Outlook usage={usage} /> : null}
        {state.loading && period === null ? (
          <Loading>
            <Skeleton className="h-26.5 rounded-lg max-sm:h-43" />
          </Loading>
        ) : null}
        {/* The days of a report are days of the tenant already: they must not be moved by its zone a second time. */}
        <TimeZoneProvider timeZone="UTC">
          <UsageChart
            title={usage?.meter?.name ?? t('portal.usage.title')}
            {...(usage ? { description: spanOf(usage.period) } : {})}
            series={points ? [{ key: 'used', label: usage?.meter?.name ?? '', points }] : undefined}
            interval="day"
            partial={usage?.period.present ?? false}
            loading={state.loading}
            refreshing={state.refreshing}
            error={state.error}
            onRetry={state.reload}
            fileName={`usage-${usage?.meter?.slug ?? 'usage'}-${usage?.period.starts_on ?? ''}`}
            {...(unit ? { unit } : {})}
            controls={
              usage ? (
                <>
                  <div className="w-38 max-sm:w-full">
                    <Select
                      aria-label={t('portal.usage.meter')}
                      options={[...usage.meters]
                        .sort((a, b) => byName.compare(a.name, b.name))
                        .map((each) => ({ value: each.slug, label: each.name }))}
                      value={usage.meter?.slug ?? ''}
                      onValueChange={(value) => void setChosen({ meter: value, period: null })}
                    />
                  </div>
                  <div className="w-52 max-sm:w-full">
                    <Select
                      aria-label={t('portal.usage.period')}
                      options={usage.periods.map((each, index) => ({
                        value: each.starts_on,
                        label: index === 0 ? t('portal.usage.present') : spanOf(each),
                      }))}
                      value={usage.period.starts_on}
                      onValueChange={(value) =>
                        void setChosen({ period: value === usage.periods[0]?.starts_on ? null : value })
                      }
                    />
                  </div>
                </>
              ) : null
            }
          />
        </TimeZoneProvider>
        <section className="min-w-0">
          <h2 className="mb-3 font-semibold text-base tracking-tight">{t('portal.usage.periods')}</h2>
          <DataTable
            label={t('portal.usage.periods')}
            columns={columnsOf(unit)}
            rows={usage?.periods}
            rowKey={(row) => row.starts_on}
            rowLabel={spanOf}
            loading={state.loading}
            error={state.error}
            onRetry={state.reload}
            skeletonRows={3}
          />
        </section>
      </div>
    </>
  )
}

/** What the present period comes to, and the day the cap will be reached. */
function Outlook({ usage }: { usage: Usage }) {
  const { forecast, limit, meter } = usage
  const unit = meter?.unit
  if (!forecast) return null
  const short = forecast.cap_reached || forecast.cap_hit_on !== null
  return (
    <section
      aria-label={t('portal.usage.outlook')}
      className="flex flex-wrap gap-x-10 gap-y-4 rounded-lg border bg-surface px-4 py-4 shadow-card sm:px-5"
    >
      <div className="min-w-0">
        <h2 className="flex items-center gap-1.5 text-mute text-sm">
          <TrendingUp aria-hidden="true" className="size-4" />
          {t('portal.usage.expected', { date: dayOf(addDays(forecast.ends_on, -1)) })}
        </h2>
        <p className="tabular mt-1 font-semibold text-xl">
          {formatEstimate(forecast.used, unit)}
          {limit === null ? null : (
            <span className="font-normal text-base text-faint"> / {formatQuantity(limit, unit)}</span>
          )}
        </p>
        <p className="mt-1 text-faint text-xs">{t('portal.usage.drawn_from', { count: forecast.days })}</p>
      </div>
      {limit === null ? null : (
        <div className="min-w-0">
          <h2 className="flex items-center gap-1.5 text-mute text-sm">
            <CalendarClock aria-hidden="true" className="size-4" />
            {t('portal.usage.cap')}
          </h2>
          <p className={short ? 'mt-1 font-semibold text-warning-text text-xl' : 'mt-1 font-semibold text-xl'}>
            {forecast.cap_reached
              ? t('portal.usage.cap_reached')
              : forecast.cap_hit_on
                ? t('portal.usage.cap_hit_on', { date: dayOf(forecast.cap_hit_on) })
                : t('portal.usage.cap_holds')}
          </p>
        </div>
      )}
    </section>
  )
}

const byName = new Intl.Collator('en', { numeric: true })
const dayOf = (day: string) => formatDate(`${day}T00:00:00Z`, 'date')

/** "Nov 1, 2026 – Nov 30, 2026". */
function spanOf({ starts_on, ends_on }: { starts_on: string; ends_on: string }): string {
  return `${dayOf(starts_on)} – ${dayOf(addDays(ends_on, -1))}`
}

const columnsOf = (unit: string): ReadonlyArray<Column<Period>> => [
  { key: 'period', header: t('portal.usage.period'), cell: spanOf },
  {
    key: 'used',
    header: t('portal.usage.used'),
    align: 'right',
    cell: (row) => <span className="tabular">{row.used === null ? '–' : formatQuantity(row.used, unit)}</span>,
  },
]
