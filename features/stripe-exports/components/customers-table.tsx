'use client'

import { Link2, Users } from 'lucide-react'
import { useState } from 'react'
import { TextDialog, type TextQuestion } from '@/features/stripe-exports/components/text-dialog'
import type { StripeCustomer } from '@/features/stripe-exports/schema'
import type { Page } from '@/libs/ui/api-client'
import { CopyText } from '@/libs/ui/copy-button'
import type { Column } from '@/libs/ui/data-table'
import { FilterBar } from '@/libs/ui/filter-bar'
import { useListState } from '@/libs/ui/list-state'
import { ListTable } from '@/libs/ui/list-table'
import { t } from '@/libs/ui/messages'
import { EmptyState } from '@/libs/ui/states'
import { useApi, useApiFetch } from '@/libs/ui/use-api'

const COLUMNS: ReadonlyArray<Column<StripeCustomer>> = [
  {
    key: 'customer',
    header: t('stripe-exports.customers.column_customer'),
    cell: ({ customer }) => (
      <span className="inline-flex flex-col">
        {customer.name ?? customer.external_id}
        {customer.name ? <span className="font-normal text-faint text-xs">{customer.external_id}</span> : null}
      </span>
    ),
  },
  {
    key: 'stripe',
    header: t('stripe-exports.customers.column_stripe'),
    cell: ({ stripe_customer_id }) => (stripe_customer_id ? <CopyText value={stripe_customer_id} /> : '–'),
  },
  {
    key: 'by',
    header: t('stripe-exports.customers.column_by'),
    cell: ({ stripe_customer_id, linked }) => {
      if (linked) return t('stripe-exports.customers.linked')
      return t(stripe_customer_id ? 'stripe-exports.customers.made' : 'stripe-exports.customers.auto')
    },
  },
]

/** Who each customer is at Stripe, and a link to one that exists there. */
export function CustomersTable({ exportId, canWrite }: { exportId: string; canWrite: boolean }) {
  const api = useApiFetch()
  const path = `/stripe-exports/${exportId}/customers`
  const list = useListState([])
  const page = useApi<Page<StripeCustomer>>(`${path}${list.query}`)
  const [question, setQuestion] = useState<TextQuestion | null>(null)
  const link = ({ customer, stripe_customer_id }: StripeCustomer) =>
    setQuestion({
      title: t('stripe-exports.customers.form_title', { customer: customer.name ?? customer.external_id }),
      label: t('stripe-exports.customers.field'),
      hint: t('stripe-exports.customers.hint'),
      name: 'stripe_customer_id',
      value: stripe_customer_id ?? '',
      act: t('ui.save'),
      send: (value, options) =>
        api(`${path}/${customer.id}`, { method: 'PUT', body: { stripe_customer_id: value }, ...options }),
    })
  return (
    <>
      <FilterBar list={list} search={t('stripe-exports.customers.search')} />
      <ListTable
        label={t('stripe-exports.customers.title')}
        list={list}
        page={page}
        columns={COLUMNS}
        rowKey={({ customer }) => customer.id}
        rowLabel={({ customer }) => customer.name ?? customer.external_id}
        actions={
          canWrite
            ? (row) => [{ label: t('stripe-exports.customers.link'), icon: <Link2 />, onSelect: () => link(row) }]
            : undefined
        }
        empty={
          <EmptyState
            icon={<Users />}
            title={t('stripe-exports.customers.none')}
            description={t('stripe-exports.customers.none_hint')}
          />
        }
      />
      <TextDialog
        question={question}
        onClose={(sent) => {
          setQuestion(null)
          if (sent) page.reload()
        }}
      />
    </>
  )
}
