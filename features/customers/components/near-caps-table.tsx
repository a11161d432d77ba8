'use client'

import { ShieldCheck } from 'lucide-react'
import type { Page } from '@/libs/ui/api-client'
import { TierBadge } from '@/libs/ui/badge'
import type { Column } from '@/libs/ui/data-table'
import { useListState } from '@/libs/ui/list-state'
import { ListTable } from '@/libs/ui/list-table'
import { t } from '@/libs/ui/messages'
import { EmptyState } from '@/libs/ui/states'
import { UsageBar } from '@/libs/ui/usage-bar'
import { useApi } from '@/libs/ui/use-api'

type CappedCustomer = {
  customer: { id: string; external_id: string; name: string | null; tier: { name: string } | null }
  percent: number
  caps: ReadonlyArray<{
    meter_id: string
    name: string
    unit: string
    used: number | string
    limit: number | string
    behaviour: string
    reset_at: string
  }>
}

const REFRESH_MS = 15_000

/** Customers who used 80 % of a cap or more, the nearest first, each with the caps it is about. */
export function NearCapsTable({ base }: { base: string }) {
  const list = useListState()
  const page = useApi<Page<CappedCustomer>>(`/usage/caps${list.query ? `${list.query}&` : '?'}above=80`, {
    refreshMs: REFRESH_MS,
  })
  const columns: ReadonlyArray<Column<CappedCustomer>> = [
    {
      key: 'name',
      header: t('customers.column.name'),
      cell: ({ customer }) => customer.name ?? customer.external_id,
    },
    {
      key: 'tier',
      header: t('customers.column.tier'),
      cell: ({ customer }) => (customer.tier ? <TierBadge name={customer.tier.name} /> : t('customers.no_tier')),
    },
    {
      key: 'caps',
      header: t('customers.column.caps'),
      width: 'w-1/2',
      cell: ({ caps }) => (
        <ul className="flex w-52 flex-col gap-3 py-1 text-left sm:w-auto sm:min-w-56">
          {caps.map((line) => (
            <li key={line.meter_id}>
              <UsageBar
                label={line.name}
                used={line.used}
                cap={line.limit}
                {...(line.unit ? { unit: line.unit } : {})}
                resetsAt={line.reset_at}
                overflow={line.behaviour === 'overflow'}
              />
            </li>
          ))}
        </ul>
      ),
    },
  ]
  return (
    <ListTable
      label={t('customers.near.title')}
      list={list}
      page={page}
      live
      columns={columns}
      rowKey={({ customer }) => customer.id}
      rowLabel={({ customer }) => customer.name ?? customer.external_id}
      rowHref={({ customer }) => `${base}/${customer.id}`}
      skeletonRows={4}
      empty={
        <EmptyState
          icon={<ShieldCheck />}
          title={t('customers.near.empty_title')}
          description={t('customers.near.empty_description')}
        />
      }
    />
  )
}
