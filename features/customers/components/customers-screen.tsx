'use client'

import { Archive, ArchiveRestore, Pencil, Plus, Users } from 'lucide-react'
import { parseAsStringLiteral, useQueryState } from 'nuqs'
import type { ReactNode } from 'react'
import { type Customer, CustomerDialog, type TierChoice } from '@/features/customers/components/customer-dialog'
import { NearCapsTable } from '@/features/customers/components/near-caps-table'
import { useArchiveCustomer } from '@/features/customers/components/use-archive-customer'
import type { Page } from '@/libs/ui/api-client'
import { Badge, TierBadge } from '@/libs/ui/badge'
import { Button } from '@/libs/ui/button'
import { CodeSnippet } from '@/libs/ui/code-snippet'
import type { Column } from '@/libs/ui/data-table'
import { FilterBar } from '@/libs/ui/filter-bar'
import { httpSnippets } from '@/libs/ui/http-snippets'
import { IdText } from '@/libs/ui/id-text'
import { useListState } from '@/libs/ui/list-state'
import { ListTable } from '@/libs/ui/list-table'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { Segmented } from '@/libs/ui/segmented'
import { EmptyState } from '@/libs/ui/states'
import { Time } from '@/libs/ui/time'
import { useApi } from '@/libs/ui/use-api'
import { useEditDialog } from '@/libs/ui/use-edit-dialog'

/** The tenant's customers: whose usage is metered. `base` is the address of the list. */
export function CustomersScreen({
  base,
  trackUrl,
  canWrite,
  notices,
  seesUsage,
}: {
  base: string
  trackUrl: string
  canWrite: boolean
  /** What is to be decided about customers. */
  notices: ReactNode
  /** Whether who is near a cap may be asked for. */
  seesUsage: boolean
}) {
  const list = useListState(['archived', 'tier'])
  const [only, setOnly] = useQueryState('show', parseAsStringLiteral(['near']))
  const near = only === 'near' && seesUsage
  const archived = list.facets.archived?.[0] === 'true'
  const page = useApi<Page<Customer>>(near ? null : `/customers${list.query}`)
  const tiers = useApi<Page<TierChoice>>('/tiers?limit=200', { whole: true })
  const dialog = useEditDialog<Customer>(t('customers.create'), canWrite)

  const archive = useArchiveCustomer(page.reload)

  const columns: ReadonlyArray<Column<Customer>> = [
    {
      key: 'name',
      header: t('customers.column.name'),
      sortValue: (customer) => customer.name ?? customer.external_id,
      cell: (customer) => (
        <span className="inline-flex items-center gap-2">
          {customer.name ?? customer.external_id}
          {customer.archived_at ? <Badge>{t('customers.is_archived')}</Badge> : null}
        </span>
      ),
    },
    {
      key: 'external_id',
      header: t('customers.column.external_id'),
      sortValue: (customer) => customer.external_id,
      cell: (customer) => <IdText className="text-mute">{customer.external_id}</IdText>,
    },
    {
      key: 'email',
      header: t('customers.column.email'),
      sortValue: (customer) => customer.email,
      cell: (customer) =>
        customer.email ? (
          <span className="block max-w-64 truncate max-sm:ml-auto" title={customer.email}>
            {customer.email}
          </span>
        ) : (
          <span className="text-faint">–</span>
        ),
      folds: true,
    },
    {
      key: 'tier',
      header: t('customers.column.tier'),
      sortValue: (customer) => customer.tier?.name ?? null,
      cell: (customer) =>
        customer.tier ? (
          <span className="flex items-center gap-1.5 max-sm:justify-end">
            <TierBadge name={customer.tier.name} />
            {customer.tier_source === 'default' ? (
              <span className="shrink-0 whitespace-nowrap text-faint text-xs">{t('customers.by_default')}</span>
            ) : null}
          </span>
        ) : (
          <span className="text-faint">{t('customers.no_tier')}</span>
        ),
    },
    {
      key: 'created',
      header: t('customers.column.created'),
      sortValue: (customer) => customer.created_at,
      cell: (customer) => <Time value={customer.created_at} mode="date" />,
      align: 'right',
      folds: true,
    },
  ]

  const create = canWrite ? (
    <Button variant="primary" icon={<Plus />} onClick={dialog.create}>
      {t('customers.create')}
    </Button>
  ) : null

  const show = (
    <Segmented
      label={t('customers.show')}
      options={[
        { value: 'active', label: t('customers.show_active') },
        ...(seesUsage ? [{ value: 'near', label: t('customers.show_near') }] : []),
        { value: 'archived', label: t('customers.show_archived') },
      ]}
      value={near ? 'near' : archived ? 'archived' : 'active'}
      onValueChange={(value) => {
        // From one list to the other: neither knows the search, the facets or the page of the other.
        if (near || value === 'near') list.clear()
        void setOnly(value === 'near' ? 'near' : null)
        if (value !== 'near') list.setFacet('archived', value === 'archived' ? ['true'] : [])
      }}
    />
  )

  return (
    <>
      <PageHeader title={t('customers.title')} description={t('customers.description')} actions={create} />
      {notices}
      {near ? (
        <div className="mb-4 flex">{show}</div>
      ) : (
        <FilterBar
          list={list}
          search={t('customers.search')}
          facets={[
            {
              key: 'tier',
              label: t('customers.column.tier'),
              options: (tiers.data?.data ?? []).map((tier) => ({ value: tier.slug, label: tier.name })),
            },
          ]}
        >
          {show}
        </FilterBar>
      )}
      {near ? (
        <NearCapsTable base={base} />
      ) : (
        <ListTable
          label={t('customers.title')}
          list={list}
          page={page}
          columns={columns}
          rowKey={(customer) => customer.id}
          rowLabel={(customer) => customer.name ?? customer.external_id}
          rowHref={(customer) => `${base}/${customer.id}`}
          actions={
            canWrite
              ? (customer) =>
                  customer.archived_at
                    ? [
                        {
                          label: t('customers.restore'),
                          icon: <ArchiveRestore />,
                          onSelect: () => archive(customer, false),
                        },
                      ]
                    : [
                        { label: t('customers.edit'), icon: <Pencil />, onSelect: () => dialog.edit(customer) },
                        {
                          label: t('customers.archive'),
                          icon: <Archive />,
                          onSelect: () => archive(customer, true),
                        },
                      ]
              : undefined
          }
          empty={
            <EmptyState
              icon={<Users />}
              title={t('customers.empty.title')}
              description={t('customers.empty.description')}
              action={create}
            >
              <CodeSnippet
                label={t('customers.empty.snippet')}
                snippets={httpSnippets({
                  method: 'POST',
                  url: trackUrl,
                  body: { meter_id: 'api_calls', user_id: 'customer-1', event_value: 1 },
                })}
              />
            </EmptyState>
          }
        />
      )}
      <CustomerDialog
        open={dialog.open}
        customer={dialog.target}
        onOpenChange={(open) => !open && dialog.close()}
        onSaved={() => {
          dialog.close()
          page.reload()
        }}
      />
    </>
  )
}
