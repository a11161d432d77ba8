'use client'

import { parseAsString, useQueryState } from 'nuqs'
import type { MonthReport } from '@/features/reports/schema'
import { dayIn } from '@/libs/tenancy/zoned-day'
import { TextLink } from '@/libs/ui/button'
import { type Column, DataTable } from '@/libs/ui/data-table'
import { formatNumber, formatPercent, formatQuantity } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import { Select } from '@/libs/ui/select'
import { TimeZoneProvider } from '@/libs/ui/time'
import { UsageChart } from '@/libs/ui/usage-chart'

type MeterRow = MonthReport['meters'][number]
type TopRow = MonthReport['top_customers'][number]['customers'][number]

const amount = (value: number | string | null, unit: string): string =>
  value === null ? '–' : formatQuantity(value, unit || undefined)

/** `2026-11` as “November 2026”. */
function monthName(month: string): string {
  return new Intl.DateTimeFormat('en-GB', { month: 'long', year: 'numeric', timeZone: 'UTC' }).format(
    new Date(`${month}-01T00:00:00Z`),
  )
}

/** What a month was: meters, largest customers, and every day of one meter. */
export function MonthReportView({ report, customersHref }: { report: MonthReport; customersHref?: string }) {
  const [chosen, setChosen] = useQueryState('meter', parseAsString)
  const { meters, customer, top_customers } = report
  const about = meters.find(({ meter }) => meter.slug === chosen) ?? meters[0]
  const month = monthName(report.month)
  const title = customer
    ? t('reports.of_customer', { customer: customer.name ?? customer.external_id, month })
    : t('reports.of_tenant', { month })
  const top = top_customers.find(({ meter }) => meter === about?.meter.slug)

  return (
    <article className="flex flex-col gap-6" aria-label={title}>
      <header>
        <h2 className="font-semibold text-xl tracking-tight">{title}</h2>
        {report.complete ? null : <p className="mt-1 text-faint text-sm">{t('reports.running')}</p>}
      </header>
      <DataTable
        label={t('reports.meters')}
        columns={meterColumns(customer !== null)}
        rows={meters}
        rowKey={({ meter }) => meter.id}
        rowLabel={({ meter }) => meter.name}
      />
      {about ? (
        <>
          <div className="w-full sm:w-64 print:hidden">
            <Select
              aria-label={t('reports.choose_meter')}
              options={meters.map(({ meter }) => ({ value: meter.slug, label: meter.name }))}
              value={about.meter.slug}
              onValueChange={(value) => void setChosen(value === meters[0]?.meter.slug ? null : value)}
            />
          </div>
          <Daily report={report} about={about} />
          {top ? (
            <section aria-labelledby="report-top">
              <h3 id="report-top" className="mb-3 font-semibold text-base tracking-tight">
                {t('reports.top_of', { meter: about.meter.name })}
              </h3>
              <DataTable
                label={t('reports.top')}
                columns={customerColumns(about.meter.unit, customersHref)}
                rows={top.customers}
                rowKey={(row) => row.customer.id}
                rowLabel={(row) => row.customer.name ?? row.customer.external_id}
              />
            </section>
          ) : null}
        </>
      ) : null}
    </article>
  )
}

function Daily({ report, about }: { report: MonthReport; about: MeterRow }) {
  const { slug, name, unit } = about.meter
  const values = new Map(report.daily.filter(({ meter }) => meter === slug).map(({ day, used }) => [day, Number(used)]))
  const points = daysOf(report).map((day) => ({ at: `${day}T00:00:00.000Z`, value: values.get(day) ?? 0 }))
  return (
    // The days are days of the tenant already: they must not be moved by its zone a second time.
    <TimeZoneProvider timeZone="UTC">
      <UsageChart
        title={t('reports.daily_of', { meter: name })}
        series={[{ key: slug, label: name, points }]}
        interval="day"
        {...(unit ? { unit } : {})}
        partial={!report.complete}
        fileName={`usage-${report.month}-${slug}`}
      />
    </TimeZoneProvider>
  )
}

/** The days of the month, as far as it has come. */
function daysOf({ month, time_zone, complete }: MonthReport): string[] {
  const [year = 0, number = 1] = month.split('-').map(Number)
  const count = new Date(Date.UTC(year, number, 0)).getUTCDate()
  const today = dayIn(time_zone)
  return Array.from({ length: count }, (_, index) => `${month}-${String(index + 1).padStart(2, '0')}`).filter(
    (day) => complete || day <= today,
  )
}

function meterColumns(ofCustomer: boolean): ReadonlyArray<Column<MeterRow>> {
  const caps: ReadonlyArray<Column<MeterRow>> = ofCustomer
    ? [
        {
          key: 'cap',
          header: t('reports.column.cap'),
          align: 'right',
          cell: ({ cap, meter }) =>
            cap === null ? <span className="text-faint">{t('reports.no_cap')}</span> : amount(cap, meter.unit),
        },
      ]
    : []
  return [
    {
      key: 'meter',
      header: t('reports.column.meter'),
      sortValue: ({ meter }) => meter.name,
      cell: ({ meter }) => meter.name,
    },
    {
      key: 'used',
      header: t('reports.column.used'),
      align: 'right',
      width: 'min-w-28',
      cell: ({ used, meter }) => amount(used, meter.unit),
    },
    ...caps,
    {
      key: 'overage',
      header: t('reports.column.overage'),
      align: 'right',
      width: 'min-w-28',
      cell: ({ overage, meter }) => amount(overage, meter.unit),
    },
    {
      key: 'previous',
      header: t('reports.column.previous'),
      align: 'right',
      width: 'min-w-28',
      cell: ({ previous, meter }) => amount(previous, meter.unit),
    },
    {
      key: 'change',
      header: t('reports.column.change'),
      align: 'right',
      cell: ({ change_percent }) =>
        change_percent === null
          ? t('reports.new')
          : `${change_percent > 0 ? '+' : ''}${formatPercent(change_percent / 100, true)}`,
    },
    {
      key: 'events',
      header: t('reports.column.events'),
      align: 'right',
      cell: ({ events }) => formatNumber(events),
    },
  ]
}

function customerColumns(unit: string, customersHref: string | undefined): ReadonlyArray<Column<TopRow>> {
  return [
    {
      key: 'customer',
      header: t('reports.column.customer'),
      cell: ({ customer }) => {
        const name = customer.name ?? customer.external_id
        return customersHref ? <TextLink href={`${customersHref}/${customer.id}`}>{name}</TextLink> : name
      },
    },
    { key: 'used', header: t('reports.column.used'), align: 'right', cell: ({ used }) => amount(used, unit) },
    {
      key: 'events',
      header: t('reports.column.events'),
      align: 'right',
      cell: ({ events }) => formatNumber(events),
    },
  ]
}
