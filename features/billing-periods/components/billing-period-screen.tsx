'use client'

import { Download, ReceiptText } from 'lucide-react'
import { PeriodSpan } from '@/features/billing-periods/components/period-span'
import type { BillingLineRow, BillingPeriodRow } from '@/features/billing-periods/schema'
import { addDays } from '@/libs/metering/trend'
import { apiUrl, type Page, toQuery } from '@/libs/ui/api-client'
import { Badge } from '@/libs/ui/badge'
import { Button } from '@/libs/ui/button'
import type { Column } from '@/libs/ui/data-table'
import { FilterBar } from '@/libs/ui/filter-bar'
import { formatDate, formatExact, formatNumber } from '@/libs/ui/format'
import { IdText } from '@/libs/ui/id-text'
import { useListState } from '@/libs/ui/list-state'
import { ListTable } from '@/libs/ui/list-table'
import { Menu } from '@/libs/ui/menu'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { TextSkeleton } from '@/libs/ui/skeleton'
import { StatTile } from '@/libs/ui/stat-tile'
import { EmptyState, ErrorState } from '@/libs/ui/states'
import { useTimeZone } from '@/libs/ui/time'
import { useApi, useApiPath } from '@/libs/ui/use-api'

/** One closed period with its lines. */
export function BillingPeriodScreen({ id, base }: { id: string; base: string }) {
  const period = useApi<BillingPeriodRow>(`/billing-periods/${id}`)
  if (period.data) return <PeriodWithLines period={period.data} base={base} />
  return (
    <>
      <PageHeader
        breadcrumbs={[{ label: t('billing-periods.title'), href: base }, { label: id.slice(0, 8) }]}
        title={t('billing-periods.title')}
      />
      {period.error ? <ErrorState error={period.error} onRetry={period.reload} /> : <TextSkeleton lines={8} />}
    </>
  )
}

function PeriodWithLines({ period, base }: { period: BillingPeriodRow; base: string }) {
  const zone = useTimeZone()
  const toPath = useApiPath()
  const list = useListState(['adjustment'], { limit: 50 })
  const query = toQuery({
    customer: list.q === '' ? null : list.q,
    adjustment: list.facets.adjustment?.[0] ?? null,
    cursor: list.cursor,
    limit: 50,
  })
  const page = useApi<Page<BillingLineRow>>(`/billing-periods/${period.id}/lines${query}`)
  const download = (format: string) => () => {
    window.location.assign(apiUrl(toPath(`/billing-periods/${period.id}/download?format=${format}`)))
  }
  const end = formatDate(period.ends_at, 'datetime', zone)
  return (
    <>
      <PageHeader
        breadcrumbs={[{ label: t('billing-periods.title'), href: base }, { label: end }]}
        title={t('billing-periods.one.title', { end })}
        description={
          <>
            <PeriodSpan {...period} /> · {t('ui.pager.zone', { zone })}
          </>
        }
        actions={
          <Menu
            trigger={<Button icon={<Download />}>{t('billing-periods.one.download')}</Button>}
            entries={[
              {
                label: t('billing-periods.export_jsonl'),
                hint: t('billing-periods.export_jsonl_hint'),
                onSelect: download('jsonl'),
              },
              {
                label: t('billing-periods.export_csv'),
                hint: t('billing-periods.export_csv_hint'),
                onSelect: download('csv'),
              },
            ]}
          />
        }
      />
      <div className="mb-6 grid gap-3 sm:grid-cols-3">
        <StatTile label={t('billing-periods.one.stat_lines')} value={formatNumber(period.lines)} />
        <StatTile label={t('billing-periods.one.stat_events')} value={formatNumber(period.events)} />
        <StatTile
          label={t('billing-periods.one.stat_adjustments')}
          value={formatNumber(period.adjustments)}
          hint={t('billing-periods.one.stat_adjustments_hint')}
        />
      </div>
      <FilterBar
        list={list}
        search={t('billing-periods.one.search')}
        facets={[
          {
            key: 'adjustment',
            label: t('billing-periods.one.kind'),
            options: [
              { value: 'false', label: t('billing-periods.one.regular') },
              { value: 'true', label: t('billing-periods.one.adjustment') },
            ],
          },
        ]}
      />
      <ListTable
        label={t('billing-periods.one.lines')}
        list={list}
        page={page}
        columns={COLUMNS}
        rowKey={(line) => `${line.customer_id} ${line.meter_id} ${line.starts_on}`}
        rowLabel={(line) => `${line.customer}, ${line.meter_name}`}
        empty={
          <EmptyState
            icon={<ReceiptText />}
            title={t('billing-periods.one.no_lines')}
            description={t('billing-periods.one.no_lines_hint')}
          />
        }
      />
    </>
  )
}

const amount = (value: number | string | null) =>
  value === null ? <span className="text-faint">–</span> : <span className="tabular">{formatExact(value)}</span>
const day = (text: string) => formatDate(`${text}T00:00:00Z`, 'date')

const COLUMNS: ReadonlyArray<Column<BillingLineRow>> = [
  {
    key: 'customer',
    header: t('billing-periods.one.customer'),
    cell: (line) => <IdText>{line.customer}</IdText>,
  },
  {
    key: 'meter',
    header: t('billing-periods.one.meter'),
    cell: (line) => (
      <>
        {line.meter_name} <code className="break-all font-mono text-faint text-xs">{line.meter}</code>
      </>
    ),
  },
  {
    key: 'usage_period',
    header: t('billing-periods.one.usage_period'),
    cell: (line) => t('billing-periods.span', { start: day(line.starts_on), end: day(addDays(line.ends_on, -1)) }),
  },
  { key: 'quantity', header: t('billing-periods.one.quantity'), align: 'right', cell: (line) => amount(line.quantity) },
  { key: 'events', header: t('billing-periods.one.events'), align: 'right', cell: (line) => amount(line.events) },
  {
    key: 'tier',
    header: t('billing-periods.one.tier'),
    cell: (line) =>
      line.tier === null ? (
        <span className="text-faint">–</span>
      ) : (
        <span>
          {line.tier}{' '}
          <span className="text-faint">{t('billing-periods.one.version', { version: line.tier_version ?? 1 })}</span>
        </span>
      ),
  },
  { key: 'cap', header: t('billing-periods.one.cap'), align: 'right', cell: (line) => amount(line.cap_limit) },
  { key: 'overage', header: t('billing-periods.one.overage'), align: 'right', cell: (line) => amount(line.overage) },
  {
    key: 'kind',
    header: t('billing-periods.one.kind'),
    cell: (line) =>
      line.adjustment ? (
        <Badge tone="info">{t('billing-periods.one.adjustment')}</Badge>
      ) : (
        <span className="text-mute">{t('billing-periods.one.regular')}</span>
      ),
  },
]
