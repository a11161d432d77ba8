'use client'

import { Ban, RotateCw, Send } from 'lucide-react'
import { useState } from 'react'
import { DELIVERY_STATES, type StripeDelivery } from '@/features/stripe-exports/schema'
import type { Page } from '@/libs/ui/api-client'
import { Badge, type Tone } from '@/libs/ui/badge'
import { Button } from '@/libs/ui/button'
import { ConfirmDialog } from '@/libs/ui/confirm-dialog'
import type { Column } from '@/libs/ui/data-table'
import { FilterBar } from '@/libs/ui/filter-bar'
import { formatQuantity } from '@/libs/ui/format'
import { useListState } from '@/libs/ui/list-state'
import { ListTable } from '@/libs/ui/list-table'
import { t } from '@/libs/ui/messages'
import { EmptyState } from '@/libs/ui/states'
import { Time } from '@/libs/ui/time'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch, useMutation } from '@/libs/ui/use-api'

const TONES: Record<StripeDelivery['status'], Tone> = {
  pending: 'info',
  sent: 'success',
  failed: 'danger',
  skipped: 'neutral',
}

const COLUMNS: ReadonlyArray<Column<StripeDelivery>> = [
  {
    key: 'customer',
    header: t('stripe-exports.deliveries.column_customer'),
    cell: ({ customer }) => customer.name ?? customer.external_id,
  },
  {
    key: 'meter',
    header: t('stripe-exports.deliveries.column_meter'),
    cell: ({ meter, event_name }) => (
      <span className="inline-flex flex-col">
        {meter.name}
        {event_name === meter.slug ? null : <code className="font-mono text-faint text-xs">{event_name}</code>}
      </span>
    ),
  },
  {
    key: 'hour',
    header: t('stripe-exports.deliveries.column_hour'),
    cell: ({ hour }) => <Time value={hour} />,
  },
  {
    key: 'amount',
    header: t('stripe-exports.deliveries.column_amount'),
    align: 'right',
    cell: ({ amount, meter }) => <span className="tabular">{formatQuantity(amount, meter.unit || undefined)}</span>,
  },
  {
    key: 'state',
    header: t('stripe-exports.deliveries.column_state'),
    cell: ({ status, last_error }) => (
      <span className="inline-flex flex-col items-start gap-1">
        <Badge tone={TONES[status]}>{t(`stripe-exports.deliveries.${status}`)}</Badge>
        {last_error ? <span className="max-w-sm whitespace-normal text-faint text-xs">{last_error}</span> : null}
      </span>
    ),
  },
  {
    key: 'sent',
    header: t('stripe-exports.deliveries.column_sent'),
    align: 'right',
    cell: ({ sent_at }) => (sent_at ? <Time value={sent_at} mode="relative" /> : '–'),
  },
]

/** What went to Stripe, what waits and what failed, newest first. */
export function DeliveriesTable({
  exportId,
  canWrite,
  failed,
  onChange,
}: {
  exportId: string
  canWrite: boolean
  failed: number
  onChange: () => void
}) {
  const api = useApiFetch()
  const path = `/stripe-exports/${exportId}/deliveries`
  const list = useListState(['status'])
  const page = useApi<Page<StripeDelivery>>(`${path}${list.query}`, list.cursor === null ? { refreshMs: 5_000 } : {})
  const [skipping, setSkipping] = useState<StripeDelivery | null>(null)
  const changed = () => {
    page.reload()
    onChange()
  }
  const retry = useMutation(
    ({ id }: StripeDelivery, options) => api(`${path}/${id}/retry`, { method: 'POST', ...options }),
    { onSuccess: changed, onError: (problem) => toast.problem(problem), rows: true },
  )
  const retryAll = useMutation(
    (_: null, options) => api<{ retried: number }>(`${path}/retry`, { method: 'POST', ...options }),
    {
      onSuccess: ({ retried }) => {
        toast.success(t('stripe-exports.deliveries.retried_toast', { count: retried }))
        changed()
      },
      onError: (problem) => toast.problem(problem),
    },
  )
  return (
    <>
      <FilterBar
        list={list}
        facets={[
          {
            key: 'status',
            label: t('stripe-exports.deliveries.filter_state'),
            options: DELIVERY_STATES.map((value) => ({ value, label: t(`stripe-exports.deliveries.${value}`) })),
          },
        ]}
      >
        {canWrite && failed > 0 ? (
          <Button icon={<RotateCw />} loading={retryAll.pending} onClick={() => void retryAll.run(null)}>
            {t('stripe-exports.deliveries.retry_all')}
          </Button>
        ) : null}
      </FilterBar>
      <ListTable
        label={t('stripe-exports.deliveries.title')}
        list={list}
        page={page}
        live
        columns={COLUMNS}
        rowKey={({ id }) => id}
        rowLabel={({ customer, meter, hour }) => `${customer.name ?? customer.external_id}, ${meter.name}, ${hour}`}
        actions={
          canWrite
            ? (row) =>
                row.status === 'failed'
                  ? [
                      {
                        label: t('stripe-exports.deliveries.retry'),
                        icon: <RotateCw />,
                        onSelect: () => void retry.run(row),
                      },
                      {
                        label: t('stripe-exports.deliveries.skip'),
                        icon: <Ban />,
                        tone: 'danger',
                        onSelect: () => setSkipping(row),
                      },
                    ]
                  : []
            : undefined
        }
        empty={
          <EmptyState
            icon={<Send />}
            title={t('stripe-exports.deliveries.none')}
            description={t('stripe-exports.deliveries.none_hint')}
          />
        }
      />
      <ConfirmDialog
        open={skipping !== null}
        onOpenChange={(open) => !open && setSkipping(null)}
        tone="danger"
        title={t('stripe-exports.deliveries.skip_title')}
        description={t('stripe-exports.deliveries.skip_description')}
        confirmLabel={t('stripe-exports.deliveries.skip_confirm')}
        onConfirm={async () => {
          if (skipping) await api(`${path}/${skipping.id}/skip`, { method: 'POST' })
          changed()
        }}
      />
    </>
  )
}
