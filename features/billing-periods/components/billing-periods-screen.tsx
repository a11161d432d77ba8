'use client'

import { CalendarCheck, Download, Lock } from 'lucide-react'
import { useState } from 'react'
import { ClosePeriodDialog } from '@/features/billing-periods/components/close-period-dialog'
import { PeriodSpan } from '@/features/billing-periods/components/period-span'
import type { BillingPeriodRow } from '@/features/billing-periods/schema'
import { dayIn } from '@/libs/tenancy/zoned-day'
import { apiUrl, type Page, toQuery } from '@/libs/ui/api-client'
import { Badge } from '@/libs/ui/badge'
import { Button } from '@/libs/ui/button'
import type { Column } from '@/libs/ui/data-table'
import { formatDate, formatNumber } from '@/libs/ui/format'
import { useListState } from '@/libs/ui/list-state'
import { ListTable } from '@/libs/ui/list-table'
import { Menu } from '@/libs/ui/menu'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { EmptyState } from '@/libs/ui/states'
import { Time, useTimeZone } from '@/libs/ui/time'
import { useApi, useApiPath } from '@/libs/ui/use-api'

/** Closed periods, closing one, and exports of what is not closed yet. */
export function BillingPeriodsScreen({ base, closes }: { base: string; closes: boolean }) {
  const list = useListState([], { limit: 50 })
  const zone = useTimeZone()
  const [closing, setClosing] = useState(false)
  const page = useApi<Page<BillingPeriodRow>>(`/billing-periods${list.query}`)
  const newest = useApi<Page<BillingPeriodRow>>('/billing-periods?limit=1')
  const last = newest.data?.data[0] ?? null
  const close = closes ? (
    <Button variant="primary" icon={<Lock />} onClick={() => setClosing(true)}>
      {t('billing-periods.close')}
    </Button>
  ) : null
  const columns: ReadonlyArray<Column<BillingPeriodRow>> = [
    {
      key: 'period',
      header: t('billing-periods.column.period'),
      cell: (period) => <PeriodSpan {...period} />,
    },
    {
      key: 'lines',
      header: t('billing-periods.column.lines'),
      align: 'right',
      cell: ({ lines }) => <span className="tabular">{formatNumber(lines)}</span>,
    },
    {
      key: 'events',
      header: t('billing-periods.column.events'),
      align: 'right',
      cell: ({ events }) => <span className="tabular">{formatNumber(events)}</span>,
    },
    {
      key: 'adjustments',
      header: t('billing-periods.column.adjustments'),
      align: 'right',
      cell: ({ adjustments }) =>
        adjustments > 0 ? (
          <Badge tone="info">{formatNumber(adjustments)}</Badge>
        ) : (
          <span className="text-faint">0</span>
        ),
    },
    {
      key: 'closed',
      header: t('billing-periods.column.closed'),
      align: 'right',
      cell: ({ closed_at }) => <Time value={closed_at} />,
    },
  ]
  return (
    <>
      <PageHeader
        title={t('billing-periods.title')}
        description={t('billing-periods.description')}
        actions={
          <>
            <ExportMenu since={last?.ends_at ?? null} zone={zone} />
            {close}
          </>
        }
      />
      <ListTable
        label={t('billing-periods.list')}
        list={list}
        page={page}
        columns={columns}
        rowKey={({ id }) => id}
        rowLabel={({ ends_at }) => t('billing-periods.one.title', { end: formatDate(ends_at, 'datetime', zone) })}
        rowHref={({ id }) => `${base}/${id}`}
        empty={
          <EmptyState
            icon={<CalendarCheck />}
            title={t('billing-periods.empty')}
            description={t(closes ? 'billing-periods.empty_hint' : 'billing-periods.empty_read_only')}
            action={close}
          />
        }
      />
      <ClosePeriodDialog
        open={closing}
        since={last?.ends_at ?? null}
        onClose={() => setClosing(false)}
        onDone={() => {
          page.reload()
          newest.reload()
        }}
      />
    </>
  )
}

/** What was received since the last closed period, or this month, as a file. */
function ExportMenu({ since, zone }: { since: string | null; zone: string }) {
  const toPath = useApiPath()
  const month = `${dayIn(zone).slice(0, 7)}-01`
  const download = (from: string, format: string) => () => {
    window.location.assign(apiUrl(toPath(`/billing-periods/export${toQuery({ from, format })}`)))
  }
  const choices = (heading: string, from: string) => [
    { heading },
    {
      label: t('billing-periods.export_jsonl'),
      hint: t('billing-periods.export_jsonl_hint'),
      onSelect: download(from, 'jsonl'),
    },
    {
      label: t('billing-periods.export_csv'),
      hint: t('billing-periods.export_csv_hint'),
      onSelect: download(from, 'csv'),
    },
  ]
  return (
    <Menu
      trigger={<Button icon={<Download />}>{t('billing-periods.export')}</Button>}
      entries={[
        ...(since === null ? [] : choices(t('billing-periods.export_open'), since)),
        ...choices(t('billing-periods.export_all'), month),
      ]}
    />
  )
}
