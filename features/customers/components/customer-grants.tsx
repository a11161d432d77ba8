'use client'

import { Ban, Gift, Plus } from 'lucide-react'
import { useState } from 'react'
import type { Entitlement, Grant } from '@/features/customers/components/entitlement-rows'
import { GrantDrawer } from '@/features/customers/components/grant-drawer'
import type { Page } from '@/libs/ui/api-client'
import { Badge, type Tone } from '@/libs/ui/badge'
import { Button } from '@/libs/ui/button'
import { ConfirmDialog } from '@/libs/ui/confirm-dialog'
import { type Column, DataTable } from '@/libs/ui/data-table'
import { formatNumber, formatQuantity } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import { EmptyState } from '@/libs/ui/states'
import { Time } from '@/libs/ui/time'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch } from '@/libs/ui/use-api'

const TONES: Readonly<Record<Grant['state'], Tone>> = {
  scheduled: 'info',
  active: 'success',
  used: 'neutral',
  expired: 'neutral',
  voided: 'neutral',
}

const COLUMNS: ReadonlyArray<Column<Grant>> = [
  { key: 'meter', header: t('entitlements.grants.column.meter'), cell: (row) => row.meter.name },
  {
    key: 'amount',
    header: t('entitlements.grants.column.amount'),
    align: 'right',
    cell: (row) => (
      <span className="tabular whitespace-nowrap">
        {row.meter.unit === 'bytes' ? formatQuantity(row.remaining, 'bytes') : formatNumber(row.remaining)}
        <span className="text-faint"> / {formatQuantity(row.amount, row.meter.unit)}</span>
      </span>
    ),
  },
  {
    key: 'priority',
    header: t('entitlements.grants.column.priority'),
    align: 'right',
    cell: (row) => row.priority,
  },
  {
    key: 'effective',
    header: t('entitlements.grants.column.effective'),
    cell: (row) => <Time value={row.effective_at} mode="date" />,
  },
  {
    key: 'expires',
    header: t('entitlements.grants.column.expires'),
    cell: (row) => <Time value={row.expires_at} mode="date" fallback={t('entitlements.grants.never')} />,
  },
  {
    key: 'recurrence',
    header: t('entitlements.grants.column.recurrence'),
    cell: (row) =>
      row.recurrence ? t(`entitlements.grants.recurrence.${row.recurrence}`) : t('entitlements.grants.once'),
  },
  {
    key: 'state',
    header: t('entitlements.grants.column.state'),
    cell: (row) => <Badge tone={TONES[row.state]}>{t(`entitlements.grants.state.${row.state}`)}</Badge>,
  },
]

/** The grants of a customer, the newest first; added and voided here. */
export function CustomerGrants({
  customerId,
  entitlements,
  canWrite,
  onChanged,
}: {
  customerId: string
  entitlements: readonly Entitlement[]
  canWrite: boolean
  onChanged: () => void
}) {
  const path = `/customers/${customerId}/grants`
  const grants = useApi<Page<Grant>>(`${path}?limit=100`, { refreshMs: 15_000 })
  const api = useApiFetch()
  const [adding, setAdding] = useState(false)
  const [voiding, setVoiding] = useState<Grant | null>(null)

  function changed() {
    grants.reload()
    onChanged()
  }

  return (
    <section className="min-w-0">
      <header className="mb-3 flex flex-wrap items-end justify-between gap-x-4 gap-y-2">
        <div className="min-w-0">
          <h2 className="font-semibold text-base tracking-tight">{t('entitlements.grants.title')}</h2>
          <p className="mt-0.5 text-faint text-sm">{t('entitlements.grants.description')}</p>
        </div>
        {canWrite ? (
          <Button size="sm" icon={<Plus />} onClick={() => setAdding(true)}>
            {t('entitlements.grants.add')}
          </Button>
        ) : null}
      </header>
      <DataTable
        label={t('entitlements.grants.title')}
        columns={COLUMNS}
        rows={grants.data?.data}
        rowKey={(row) => row.id}
        rowLabel={(row) => `${row.meter.name} ${formatNumber(row.amount)}`}
        actions={(row) =>
          canWrite && (row.state === 'active' || row.state === 'scheduled' || (row.state === 'used' && row.recurrence))
            ? [
                {
                  label: t('entitlements.grants.void'),
                  icon: <Ban />,
                  tone: 'danger',
                  onSelect: () => setVoiding(row),
                },
              ]
            : []
        }
        loading={grants.loading}
        refreshing={grants.refreshing}
        error={grants.error}
        onRetry={grants.reload}
        skeletonRows={2}
        empty={
          <EmptyState
            icon={<Gift />}
            title={t('entitlements.grants.empty_title')}
            description={t(canWrite ? 'entitlements.grants.empty' : 'entitlements.grants.empty_read_only')}
          />
        }
      />
      <GrantDrawer
        customerId={customerId}
        entitlements={entitlements}
        open={adding}
        onOpenChange={setAdding}
        onSaved={(saved) => {
          setAdding(false)
          const amount = formatQuantity(saved.amount, saved.meter.unit)
          toast.success(t('entitlements.grants.form.saved', { amount }))
          changed()
        }}
      />
      <ConfirmDialog
        open={voiding !== null}
        onOpenChange={(open) => !open && setVoiding(null)}
        title={t('entitlements.grants.void_title')}
        description={t('entitlements.grants.void_description')}
        consequences={voiding ? [{ label: t('entitlements.grants.void_left'), count: voiding.remaining }] : []}
        confirmLabel={t('entitlements.grants.void_confirm')}
        tone="danger"
        onConfirm={async () => {
          if (!voiding) return
          await api(`${path}/${voiding.id}`, { method: 'DELETE' })
          toast.success(t('entitlements.grants.voided'))
          changed()
        }}
      />
    </section>
  )
}
