'use client'

import { Building2, Plus } from 'lucide-react'
import { useState } from 'react'
import { CreateTenantDialog } from '@/features/operator/components/create-tenant-dialog'
import { type OperatorTenant, PLANS, STATUSES, type TenantStats } from '@/features/operator/components/operator-tenant'
import { actsOf, type TenantAct, TenantActDialogs } from '@/features/operator/components/tenant-acts'
import { TenantStatsTiles } from '@/features/operator/components/tenant-stats-tiles'
import type { Page } from '@/libs/ui/api-client'
import { StatusPill, TierBadge } from '@/libs/ui/badge'
import { Button } from '@/libs/ui/button'
import type { Column } from '@/libs/ui/data-table'
import { FilterBar } from '@/libs/ui/filter-bar'
import { formatNumber } from '@/libs/ui/format'
import { useListState } from '@/libs/ui/list-state'
import { ListTable } from '@/libs/ui/list-table'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { EmptyState } from '@/libs/ui/states'
import { Time } from '@/libs/ui/time'
import { useApi } from '@/libs/ui/use-api'
import { toWords } from '@/libs/ui/words'

const COLUMNS: ReadonlyArray<Column<OperatorTenant>> = [
  {
    key: 'name',
    header: t('operator.tenants.column.name'),
    cell: (tenant) => (
      <span className="block max-w-56">
        <span className="block truncate" title={tenant.name}>
          {tenant.name}
        </span>
        <span className="block truncate font-normal text-faint text-xs">{tenant.slug}</span>
      </span>
    ),
  },
  {
    key: 'status',
    header: t('operator.tenants.column.status'),
    cell: (tenant) => <StatusPill status={tenant.status} />,
  },
  {
    key: 'plan',
    header: t('operator.tenants.column.plan'),
    cell: (tenant) => <TierBadge name={toWords(tenant.plan_id)} />,
  },
  {
    key: 'owner',
    header: t('operator.tenants.column.owner'),
    cell: (tenant) =>
      tenant.owner_email ? (
        <span className="block max-w-48 truncate max-sm:ml-auto" title={tenant.owner_email}>
          {tenant.owner_email}
        </span>
      ) : (
        <span className="text-faint">{t('operator.tenants.no_owner')}</span>
      ),
  },
  {
    key: 'members',
    header: t('operator.tenants.column.members'),
    align: 'right',
    cell: (tenant) => <span className="tabular">{formatNumber(tenant.members)}</span>,
  },
  {
    key: 'placement',
    header: t('operator.tenants.column.placement'),
    hideOnCard: true,
    cell: ({ placement }) => (
      <span className="whitespace-nowrap text-mute">
        {t('operator.tenants.placement', { kind: placement.kind, database: placement.database })}
      </span>
    ),
  },
  {
    key: 'created',
    header: t('operator.tenants.column.created'),
    cell: (tenant) => <Time value={tenant.created_at} mode="date" />,
  },
]

/** All tenants of the platform: figures, search, filters, and what can be done to each. */
export function TenantsScreen({ canWrite }: { canWrite: boolean }) {
  const list = useListState(['status', 'plan', 'sort'], { limit: 25 })
  const page = useApi<Page<OperatorTenant>>(`/tenants${list.query}`)
  const stats = useApi<TenantStats>('/tenants/stats')
  const [asked, setAsked] = useState<{ act: TenantAct; tenant: OperatorTenant } | null>(null)
  const [creating, setCreating] = useState(false)
  const reload = () => {
    page.reload()
    stats.reload()
  }
  const create = canWrite ? (
    <Button variant="primary" icon={<Plus />} onClick={() => setCreating(true)}>
      {t('operator.tenants.create')}
    </Button>
  ) : null

  return (
    <>
      <PageHeader
        title={t('operator.tenants.title')}
        description={t('operator.tenants.description')}
        actions={create}
      />
      <TenantStatsTiles state={stats} />
      <FilterBar
        list={list}
        search={t('operator.tenants.search')}
        facets={[
          {
            key: 'status',
            label: t('operator.tenants.status'),
            options: STATUSES.map((value) => ({ value, label: t(`ui.status.${value}`) })),
          },
          {
            key: 'plan',
            label: t('operator.tenants.plan'),
            options: PLANS.map((value) => ({ value, label: toWords(value) })),
          },
          {
            key: 'sort',
            label: t('operator.tenants.sort'),
            options: (['newest', 'oldest', 'name'] as const).map((value) => ({
              value,
              label: t(`operator.tenants.sort_${value}`),
            })),
          },
        ]}
      />
      <ListTable
        label={t('operator.tenants.title')}
        list={list}
        page={page}
        columns={COLUMNS}
        rowKey={(tenant) => tenant.id}
        rowLabel={(tenant) => tenant.name}
        rowHref={(tenant) => `/operator/tenants/${tenant.id}`}
        actions={
          canWrite
            ? (tenant) =>
                actsOf(tenant.status).map((act) => ({
                  label: t(`operator.act.${act}`),
                  ...(act === 'delete' || act === 'suspend' ? { tone: 'danger' as const } : {}),
                  onSelect: () => setAsked({ act, tenant }),
                }))
            : undefined
        }
        empty={
          <EmptyState
            icon={<Building2 />}
            title={t('operator.tenants.empty_title')}
            description={t('operator.tenants.empty')}
            action={create}
          />
        }
      />
      <TenantActDialogs asked={asked} onClose={() => setAsked(null)} onDone={reload} />
      <CreateTenantDialog open={creating && canWrite} onOpenChange={setCreating} onDone={reload} />
    </>
  )
}
