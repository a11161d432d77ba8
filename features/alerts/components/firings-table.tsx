'use client'

import { BellRing } from 'lucide-react'
import { type AlertFiring, describeStep } from '@/features/alerts/components/alert-text'
import { CustomerCell } from '@/features/alerts/components/rules-table'
import type { Page } from '@/libs/ui/api-client'
import type { Column } from '@/libs/ui/data-table'
import { formatQuantity } from '@/libs/ui/format'
import { useListState } from '@/libs/ui/list-state'
import { ListTable } from '@/libs/ui/list-table'
import { t } from '@/libs/ui/messages'
import { EmptyState } from '@/libs/ui/states'
import { Time } from '@/libs/ui/time'
import { useApi } from '@/libs/ui/use-api'

/** What fired, newest first, and by how far. */
export function FiringsTable({ customersHref }: { customersHref?: string }) {
  const list = useListState([])
  const page = useApi<Page<AlertFiring>>(`/alerts/firings${list.query}`, { refreshMs: 10_000 })
  const amount = (value: number | string, unit: string) => formatQuantity(value, unit || undefined)
  const columns: ReadonlyArray<Column<AlertFiring>> = [
    {
      key: 'rule',
      header: t('alerts.column.name'),
      cell: (firing) => (
        <span className="inline-flex flex-col">
          {firing.rule.name}
          <span className="font-normal text-faint text-xs">{firing.meter.name}</span>
        </span>
      ),
    },
    {
      key: 'customer',
      header: t('alerts.column.customer'),
      cell: (firing) => <CustomerCell customer={firing.customer} {...(customersHref ? { customersHref } : {})} />,
    },
    {
      key: 'reached',
      header: t('alerts.column.reached'),
      cell: ({ rule, step, meter }) => describeStep(rule.kind, step, meter.unit),
    },
    {
      key: 'used',
      header: t('alerts.column.used'),
      align: 'right',
      cell: ({ used, available, meter }) =>
        available === null
          ? amount(used, meter.unit)
          : t('alerts.used_of', {
              used: amount(used, meter.unit === 'bytes' ? meter.unit : ''),
              available: amount(available, meter.unit),
            }),
    },
    { key: 'told', header: t('alerts.column.told'), align: 'right', cell: ({ told }) => told },
    {
      key: 'fired',
      header: t('alerts.column.fired'),
      align: 'right',
      cell: ({ fired_at }) => <Time value={fired_at} mode="relative" />,
    },
  ]
  return (
    <ListTable
      label={t('alerts.view_firings')}
      list={list}
      page={page}
      live
      columns={columns}
      rowKey={(firing) => firing.id}
      rowLabel={(firing) => `${firing.rule.name}, ${firing.customer.name ?? firing.customer.external_id}`}
      skeletonRows={6}
      empty={
        <EmptyState
          icon={<BellRing />}
          title={t('alerts.no_firings.title')}
          description={t('alerts.no_firings.description')}
        />
      }
    />
  )
}
