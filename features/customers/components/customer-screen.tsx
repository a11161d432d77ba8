'use client'

import { Archive, ArchiveRestore, ArrowRightLeft, Pencil } from 'lucide-react'
import { type ReactNode, useState } from 'react'
import { BalanceDrawer } from '@/features/customers/components/balance-drawer'
import { ChangeTierDialog } from '@/features/customers/components/change-tier-dialog'
import { type Customer, CustomerDialog } from '@/features/customers/components/customer-dialog'
import { CustomerFacts, type Subscription } from '@/features/customers/components/customer-facts'
import { CustomerGrants } from '@/features/customers/components/customer-grants'
import { CustomerUsage } from '@/features/customers/components/customer-usage'
import type { Entitlements, MeterRef } from '@/features/customers/components/entitlement-rows'
import { EntitlementsCard } from '@/features/customers/components/entitlements-card'
import { useArchiveCustomer } from '@/features/customers/components/use-archive-customer'
import { Badge, TierBadge } from '@/libs/ui/badge'
import { Banner } from '@/libs/ui/banner'
import { Button, LinkButton } from '@/libs/ui/button'
import { Card } from '@/libs/ui/card'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { Loading, Skeleton } from '@/libs/ui/skeleton'
import { ErrorState } from '@/libs/ui/states'
import { useApi } from '@/libs/ui/use-api'

/** One customer: tier, usage against caps, features, chart and events (handed in by the page). */
export function CustomerScreen({
  id,
  base,
  auditHref,
  eventsHref,
  reportsHref,
  canWrite,
  notices,
  chart,
  events,
}: {
  id: string
  base: string
  /** The audit log, for those who may read it. */
  auditHref?: string
  /** Events and monthly reports, for those who may see usage. */
  eventsHref?: string
  reportsHref?: string
  canWrite: boolean
  /** What is to be decided about the customer. */
  notices: ReactNode
  chart: ReactNode
  events: ReactNode
}) {
  const path = `/customers/${encodeURIComponent(id)}`
  const state = useApi<Customer>(path, { refreshMs: 15_000 })
  const entitlements = useApi<Entitlements>(`${path}/entitlements`, { refreshMs: 5_000 })
  const subscribed = useApi<Subscription>(`${path}/subscription`, { refreshMs: 15_000 })
  const [editing, setEditing] = useState(false)
  const [moving, setMoving] = useState(false)
  const [history, setHistory] = useState<MeterRef | null>(null)
  const archive = useArchiveCustomer(state.reload)
  const customer = state.data
  const name = customer ? (customer.name ?? customer.external_id) : t('customers.column.name')
  const crumbs = [{ label: t('customers.title'), href: base }, { label: name }]

  if (state.error && !customer) {
    return (
      <>
        <PageHeader title={name} breadcrumbs={crumbs} />
        <Card>
          <ErrorState
            error={state.error}
            {...(state.error.status === 404 ? { title: t('customers.not_found') } : { onRetry: state.reload })}
          />
        </Card>
      </>
    )
  }
  return (
    <>
      <PageHeader
        title={name}
        breadcrumbs={crumbs}
        badge={
          <>
            {customer?.tier ? <TierBadge name={customer.tier.name} /> : null}
            {customer?.archived_at ? <Badge>{t('customers.is_archived')}</Badge> : null}
          </>
        }
        actions={
          canWrite && customer ? (
            customer.archived_at ? (
              <Button icon={<ArchiveRestore />} onClick={() => archive(customer, false)}>
                {t('customers.restore')}
              </Button>
            ) : (
              <>
                <Button icon={<Archive />} onClick={() => archive(customer, true)}>
                  {t('customers.archive')}
                </Button>
                <Button icon={<Pencil />} onClick={() => setEditing(true)}>
                  {t('customers.edit')}
                </Button>
                <Button variant="primary" icon={<ArrowRightLeft />} onClick={() => setMoving(true)}>
                  {t('customers.detail.change_tier')}
                </Button>
              </>
            )
          ) : null
        }
      />
      {notices}
      <div className="flex flex-col gap-6">
        {customer?.archived_at ? (
          <Banner tone="warning" title={t('customers.detail.archived_title')}>
            {t('customers.detail.archived')}
          </Banner>
        ) : customer && !customer.tier ? (
          <Banner tone="info" title={t('customers.detail.no_tier_title')}>
            {t('customers.detail.no_tier')}
          </Banner>
        ) : null}
        <div className="grid grid-cols-1 items-start gap-6 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
          <div className="flex flex-col gap-6">
            <CustomerUsage
              customerId={id}
              state={entitlements}
              onHistory={({ meter_id, meter, name: meterName, unit }) =>
                setHistory({ id: meter_id, slug: meter, name: meterName, unit })
              }
            />
            {customer ? (
              <EntitlementsCard
                customerId={customer.id}
                state={entitlements}
                canWrite={canWrite && customer.archived_at === null}
                onChanged={entitlements.reload}
              />
            ) : (
              <Loading>
                <Skeleton className="h-72 rounded-lg" />
              </Loading>
            )}
          </div>
          <Card title={t('customers.detail.facts')}>
            {customer ? (
              <CustomerFacts
                customer={customer}
                subscribed={subscribed.data}
                auditHref={auditHref}
                reportsHref={reportsHref}
              />
            ) : (
              <Loading className="flex flex-col gap-3">
                <Skeleton className="h-5" />
                <Skeleton className="h-5 w-2/3" />
                <Skeleton className="h-5" />
              </Loading>
            )}
          </Card>
        </div>
        {customer ? (
          <CustomerGrants
            customerId={customer.id}
            entitlements={entitlements.data?.entitlements ?? []}
            canWrite={canWrite && customer.archived_at === null}
            onChanged={entitlements.reload}
          />
        ) : (
          <Loading>
            <Skeleton className="h-66 rounded-lg" />
          </Loading>
        )}
        {chart}
        <section className="min-w-0">
          <div className="mb-3 flex min-h-7 items-center justify-between gap-3">
            <h2 className="font-semibold text-base tracking-tight">{t('customers.detail.events')}</h2>
            {customer && eventsHref ? (
              <LinkButton
                href={`${eventsHref}?customer=${encodeURIComponent(customer.external_id)}`}
                variant="ghost"
                size="sm"
              >
                {t('customers.detail.all_events')}
              </LinkButton>
            ) : null}
          </div>
          {events}
        </section>
      </div>
      {customer ? (
        <>
          <CustomerDialog
            open={editing}
            customer={customer}
            onOpenChange={setEditing}
            onSaved={(next) => {
              setEditing(false)
              state.setData(() => next)
            }}
          />
          <BalanceDrawer customerId={customer.id} meter={history} onClose={() => setHistory(null)} />
          <ChangeTierDialog
            customer={customer}
            newerVersion={subscribed.data?.newer_version ?? null}
            open={moving}
            onOpenChange={setMoving}
            onChanged={() => {
              state.reload()
              entitlements.reload()
              subscribed.reload()
            }}
          />
        </>
      ) : null}
    </>
  )
}
