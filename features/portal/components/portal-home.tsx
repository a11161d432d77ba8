'use client'

import { Check, Gauge } from 'lucide-react'
import { Card, KeyValueList } from '@/libs/ui/card'
import { formatQuantity } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { Loading, RowsSkeleton } from '@/libs/ui/skeleton'
import { EmptyState, ErrorState } from '@/libs/ui/states'
import { UsageBar } from '@/libs/ui/usage-bar'
import { useApi } from '@/libs/ui/use-api'
import { toWords } from '@/libs/ui/words'
import { type PortalOverview, type PortalUsage, priceOf } from './portal-overview'
import { UpgradePrompt } from './upgrade-prompt'

const byName = new Intl.Collator('en', { numeric: true })

/** What a customer sees of themselves: tier, usage against caps as it happens, features, and a way up from 80 %. */
export function PortalHome({ name, supportUrl }: { name: string; supportUrl: string | null }) {
  const overview = useApi<PortalOverview>('/portal/overview', { refreshMs: 10_000 })
  return (
    <>
      <PageHeader title={t('portal.home.title')} description={t('portal.home.description')} />
      {overview.data ? (
        <PortalCards overview={overview.data} name={name} supportUrl={supportUrl} />
      ) : overview.error ? (
        <ErrorState error={overview.error} onRetry={overview.reload} />
      ) : (
        <Loading>
          <RowsSkeleton rows={5} rowClass="h-16" />
        </Loading>
      )}
    </>
  )
}

/** The cards of a customer: what is used against caps and beside them, the tier, its features. */
export function PortalCards({
  overview,
  name,
  supportUrl,
}: {
  overview: PortalOverview
  name: string
  supportUrl: string | null
}) {
  const { customer, tier, usage, features, upgrade } = overview
  const rows = [...usage].sort((a, b) => byName.compare(a.name, b.name))
  const capped = rows.filter((row) => row.limit !== null)
  // A meter without a cap says nothing to a customer who did not use it, and there may be hundreds.
  const others = rows.filter((row) => row.limit === null && Number(row.used) !== 0)
  const named = features
    .map(({ key, name: own }) => ({ key, name: own === key ? toWords(key) : own }))
    .sort((a, b) => byName.compare(a.name, b.name))
  const short = usage.find((row) => row.meter === upgrade?.meter)
  return (
    <div className="flex flex-col gap-6">
      {upgrade ? (
        <UpgradePrompt
          upgrade={upgrade}
          behaviour={short?.behaviour ?? null}
          included={Number(short?.limit) !== 0}
          unit={short?.unit ?? ''}
          name={name}
          supportUrl={supportUrl}
        />
      ) : null}
      <div className="grid items-start gap-6 lg:grid-cols-[2fr_1fr]">
        <Card
          title={t('portal.home.caps')}
          description={t(capped.length > 0 ? 'portal.home.caps_description' : 'portal.home.no_caps_description')}
        >
          {capped.length > 0 ? (
            <ul className="flex flex-col gap-6">
              {capped.map((row) => (
                <li key={row.meter}>
                  <CappedUsage row={row} />
                </li>
              ))}
            </ul>
          ) : others.length > 0 ? null : (
            <EmptyState
              icon={<Gauge />}
              title={t('portal.home.no_usage')}
              description={t('portal.home.no_usage_description')}
            />
          )}
          {others.length > 0 ? <OtherUsage rows={others} alone={capped.length === 0} /> : null}
        </Card>
        <div className="flex flex-col gap-6">
          <TierCard customer={customer} tier={tier} name={name} />
          <Card title={t('portal.home.features')} description={t('portal.home.features_description')}>
            {features.length > 0 ? (
              <ul className="flex flex-col gap-2">
                {named.map((feature) => (
                  <li key={feature.key} className="flex items-center gap-2 text-sm">
                    <Check aria-hidden="true" className="size-4 text-success-text" />
                    {feature.name}
                  </li>
                ))}
              </ul>
            ) : (
              <p className="text-mute text-sm">{t('portal.home.no_features')}</p>
            )}
          </Card>
        </div>
      </div>
    </div>
  )
}

function CappedUsage({ row }: { row: PortalUsage }) {
  return (
    <UsageBar
      label={row.name}
      used={row.used}
      cap={row.limit}
      unit={row.unit}
      resetsAt={row.reset_at}
      overflow={row.behaviour === 'overflow'}
    />
  )
}

/** What is counted without a cap; `alone` when nothing with a cap stands above it. */
function OtherUsage({ rows, alone }: { rows: readonly PortalUsage[]; alone: boolean }) {
  return (
    <div className={alone ? undefined : 'mt-6 border-t pt-4'}>
      {alone ? null : <h3 className="mb-2 font-medium text-sm">{t('portal.home.others')}</h3>}
      <KeyValueList
        className="grid-cols-1"
        items={rows.map((row) => ({ label: row.name, value: formatQuantity(row.used, row.unit) }))}
      />
    </div>
  )
}

function TierCard({
  customer,
  tier,
  name,
}: {
  customer: PortalOverview['customer']
  tier: PortalOverview['tier']
  name: string
}) {
  return (
    <Card
      title={tier ? tier.name : t('portal.home.no_tier')}
      {...(tier?.description ? { description: tier.description } : {})}
    >
      {tier ? null : <p className="mb-3 text-mute text-sm">{t('portal.home.no_tier_description', { name })}</p>}
      <KeyValueList
        className="grid-cols-1"
        items={[
          ...(tier ? [{ label: t('portal.home.price'), value: priceOf(tier) }] : []),
          { label: t('portal.home.customer'), value: customer.name || customer.external_id },
        ]}
      />
    </Card>
  )
}
