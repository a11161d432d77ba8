'use client'

import { History } from 'lucide-react'
import { useState } from 'react'
import type { BalanceEntry, MeterRef, Quantity } from '@/features/customers/components/entitlement-rows'
import { dayIn } from '@/libs/tenancy/zoned-day'
import { type Page, toQuery } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { type Column, DataTable } from '@/libs/ui/data-table'
import { formatNumber, formatQuantity } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import { Drawer } from '@/libs/ui/sheet'
import { EmptyState } from '@/libs/ui/states'
import { Time, TimeZoneProvider, useTimeZone } from '@/libs/ui/time'
import { toast } from '@/libs/ui/toast'
import { UsageChart } from '@/libs/ui/usage-chart'
import { useApi, useApiFetch, useMutation } from '@/libs/ui/use-api'

type Daily = { day: string; used: Quantity; events: number }
type BalanceHistory = Page<BalanceEntry> & { daily?: readonly Daily[] }

/** How a balance came to be: what was used each day, and what was issued, expired and carried over. */
export function BalanceDrawer({
  customerId,
  meter,
  onClose,
}: {
  customerId: string
  meter: MeterRef | null
  onClose: () => void
}) {
  return (
    <Drawer
      size="lg"
      open={meter !== null}
      onOpenChange={(open) => !open && onClose()}
      title={meter ? t('entitlements.balance.history', { name: meter.name }) : ''}
      description={t('entitlements.balance.description')}
    >
      {meter ? <BalanceHistoryView key={meter.id} customerId={customerId} meter={meter} /> : null}
    </Drawer>
  )
}

function BalanceHistoryView({ customerId, meter }: { customerId: string; meter: MeterRef }) {
  const api = useApiFetch()
  const zone = useTimeZone()
  const path = `/customers/${customerId}/balance/history`
  const first = useApi<BalanceHistory>(`${path}${toQuery({ meter: meter.slug, limit: 50 })}`)
  const [more, setMore] = useState<Page<BalanceEntry>>()
  const loadMore = useMutation(
    (cursor: string) => api<BalanceHistory>(`${path}${toQuery({ meter: meter.slug, limit: 50, cursor })}`),
    {
      onSuccess: ({ data, next_cursor }) => setMore((old) => ({ data: [...(old?.data ?? []), ...data], next_cursor })),
      onError: (problem) => toast.problem(problem),
    },
  )
  const points = first.data?.daily?.map(({ day, used }) => ({ at: `${day}T00:00:00Z`, value: Number(used) }))
  const today = dayIn(zone)
  const rows = first.data ? [...first.data.data, ...(more?.data ?? [])] : undefined
  const next = (more ?? first.data)?.next_cursor

  const columns: ReadonlyArray<Column<BalanceEntry>> = [
    {
      key: 'kind',
      header: t('entitlements.balance.column.kind'),
      cell: (row) => t(`entitlements.balance.kind.${row.kind}`),
    },
    {
      key: 'amount',
      header: t('entitlements.balance.column.amount'),
      align: 'right',
      cell: (row) => <span className="tabular">{signed(row.amount, meter.unit)}</span>,
    },
    {
      key: 'balance',
      header: t('entitlements.balance.column.balance'),
      align: 'right',
      cell: (row) => <span className="tabular">{formatQuantity(row.balance, meter.unit)}</span>,
    },
    {
      key: 'when',
      header: t('entitlements.balance.column.when'),
      cell: (row) => <Time value={row.occurred_at} />,
    },
  ]

  return (
    <div className="flex flex-col gap-6">
      <TimeZoneProvider timeZone="UTC">
        <UsageChart
          title={t('entitlements.balance.chart')}
          series={points ? [{ key: meter.slug, label: meter.name, points }] : undefined}
          interval="day"
          height={180}
          partial={first.data?.daily?.at(-1)?.day === today}
          loading={first.loading}
          error={first.error}
          onRetry={first.reload}
          fileName={`balance-${meter.slug}`}
          {...(meter.unit ? { unit: meter.unit } : {})}
        />
      </TimeZoneProvider>
      <section>
        <h3 className="mb-2 font-semibold text-sm">{t('entitlements.balance.entries')}</h3>
        <DataTable
          label={t('entitlements.balance.entries')}
          columns={columns}
          rows={rows}
          rowKey={(row) => row.id}
          rowLabel={(row) => t(`entitlements.balance.kind.${row.kind}`)}
          loading={first.loading}
          refreshing={first.refreshing}
          error={first.error}
          onRetry={first.reload}
          skeletonRows={3}
          empty={
            <EmptyState
              icon={<History />}
              title={t('entitlements.balance.empty_title')}
              description={t('entitlements.balance.empty')}
            />
          }
        />
        {next ? (
          <Button size="sm" className="mt-3" loading={loadMore.pending} onClick={() => void loadMore.run(next)}>
            {t('entitlements.balance.more')}
          </Button>
        ) : null}
      </section>
    </div>
  )
}

/** `+1,000`, `−250`. */
function signed(amount: Quantity, unit: string): string {
  const text = unit === 'bytes' ? formatQuantity(amount, unit) : formatNumber(amount)
  return Number(amount) > 0 ? `+${text}` : text.replace('-', '−')
}
