'use client'

import { Check, Clock, Layers } from 'lucide-react'
import { useState } from 'react'
import type { z } from 'zod'
import type { portalTier, portalTiers, upgradeRequest } from '@/features/upgrade-requests/schema'
import { Badge } from '@/libs/ui/badge'
import { Banner } from '@/libs/ui/banner'
import { Button } from '@/libs/ui/button'
import { ConfirmDialog } from '@/libs/ui/confirm-dialog'
import { cx } from '@/libs/ui/cx'
import { formatMoney, formatQuantity } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { Loading, Skeleton } from '@/libs/ui/skeleton'
import { EmptyState, ErrorState } from '@/libs/ui/states'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch, useMutation } from '@/libs/ui/use-api'
import { toWords } from '@/libs/ui/words'

type Tier = z.infer<typeof portalTier>
type Request = z.infer<typeof upgradeRequest>

/** The tiers of a tenant side by side, for a customer: the own one, and one click to ask for another or to take it. */
export function PortalTiers({ name }: { name: string }) {
  const state = useApi<z.infer<typeof portalTiers>>('/portal/tiers', { refreshMs: 30_000 })
  const api = useApiFetch()
  const [taking, setTaking] = useState<Tier | null>(null)
  const ask = useMutation(
    (tier: Tier, options) =>
      api<Request>('/portal/upgrade-requests', { method: 'POST', body: { tier: tier.id }, ...options }),
    {
      onSuccess: ({ tier }) => {
        toast.success(t('upgrade-requests.portal.sent', { name, tier: tier.name }))
        state.reload()
      },
      onError: (problem) => toast.problem(problem),
    },
  )
  const withdraw = useMutation(
    (id: string, options) => api<Request>(`/portal/upgrade-requests/${id}`, { method: 'DELETE', ...options }),
    {
      onSuccess: () => {
        toast.success(t('upgrade-requests.portal.withdrawn'))
        state.reload()
      },
      onError: (problem) => {
        toast.problem(problem)
        // What cannot be withdrawn was decided meanwhile.
        state.reload()
      },
    },
  )
  const tiers = state.data?.data
  const open = state.data?.open_request ?? null

  return (
    <>
      <PageHeader
        title={t('upgrade-requests.portal.title')}
        description={t('upgrade-requests.portal.description', { name })}
      />
      {open ? (
        <Banner
          tone="info"
          className="mb-6"
          title={t('upgrade-requests.portal.asked', { tier: open.tier.name })}
          actions={
            <Button size="sm" loading={withdraw.pending} onClick={() => void withdraw.run(open.id)}>
              {t('upgrade-requests.portal.withdraw')}
            </Button>
          }
        >
          {t('upgrade-requests.portal.asked_description', { name })}
        </Banner>
      ) : null}
      {tiers ? (
        tiers.length > 0 ? (
          <ul className="grid items-stretch gap-4 sm:grid-cols-[repeat(auto-fill,minmax(15rem,1fr))]">
            {tiers.map((tier) => (
              <TierCard
                key={tier.id}
                tier={tier}
                name={name}
                asked={open?.tier.id === tier.id}
                busy={ask.pending}
                onChoose={() => (tier.self_service ? setTaking(tier) : void ask.run(tier))}
              />
            ))}
          </ul>
        ) : (
          <EmptyState
            icon={<Layers />}
            title={t('upgrade-requests.portal.title')}
            description={t('upgrade-requests.portal.none', { name })}
          />
        )
      ) : state.error ? (
        <ErrorState error={state.error} onRetry={state.reload} />
      ) : (
        <Loading className="grid gap-4 sm:grid-cols-2 lg:grid-cols-3">
          <Skeleton className="h-64" />
          <Skeleton className="h-64" />
          <Skeleton className="h-64" />
        </Loading>
      )}
      <ConfirmDialog
        open={taking !== null}
        onOpenChange={(next) => !next && setTaking(null)}
        title={t('upgrade-requests.portal.confirm_title', { tier: taking?.name ?? '' })}
        description={
          taking
            ? t('upgrade-requests.portal.confirm_description', { price: priceOf(taking), tier: taking.name })
            : undefined
        }
        confirmLabel={t('upgrade-requests.portal.confirm')}
        onConfirm={async () => {
          if (!taking) return
          await api('/portal/upgrade-requests', { method: 'POST', body: { tier: taking.id } })
          toast.success(t('upgrade-requests.portal.taken', { tier: taking.name }))
          state.reload()
        }}
      />
    </>
  )
}

function TierCard({
  tier,
  name,
  asked,
  busy,
  onChoose,
}: {
  tier: Tier
  name: string
  asked: boolean
  busy: boolean
  onChoose: () => void
}) {
  const kind = tier.self_service ? 'take' : 'ask'
  const features = tier.features
    .map(({ key, name: own }) => ({ key, name: own === key ? toWords(key) : own }))
    .sort((one, other) => one.name.localeCompare(other.name, 'en', { numeric: true }))
  return (
    <li
      className={cx(
        'flex min-w-0 flex-col gap-4 rounded-lg border bg-surface p-4 shadow-card sm:p-5',
        tier.present && 'border-accent',
      )}
    >
      <div>
        <h2 className="flex flex-wrap items-center gap-2 font-semibold text-base tracking-tight">
          {tier.name}
          {tier.present ? <Badge tone="accent">{t('upgrade-requests.portal.present')}</Badge> : null}
        </h2>
        <p className="mt-1 font-semibold text-xl">{priceOf(tier)}</p>
        {tier.description ? <p className="mt-1 text-mute text-sm">{tier.description}</p> : null}
      </div>
      <div className="flex-1 text-sm">
        <h3 className="sr-only">{t('upgrade-requests.portal.caps')}</h3>
        {tier.caps.length > 0 ? (
          <ul className="flex flex-col gap-1.5">
            {tier.caps.map((cap) => (
              <li key={cap.meter} className="flex flex-wrap justify-between gap-x-3">
                <span className="text-mute">{cap.name}</span>
                {Number(cap.limit) === 0 && cap.behaviour !== 'overflow' ? (
                  <span className="text-faint">{t('ui.usage.excluded')}</span>
                ) : (
                  <span className="tabular">
                    {formatQuantity(cap.limit, cap.unit)}{' '}
                    <span className="text-faint">{t(`tiers.per.${cap.period}`)}</span>
                  </span>
                )}
                {cap.behaviour === 'overflow' ? (
                  <span className="basis-full text-faint text-xs">{t('upgrade-requests.portal.overflow')}</span>
                ) : null}
              </li>
            ))}
          </ul>
        ) : (
          <p className="text-mute">{t('upgrade-requests.portal.unlimited')}</p>
        )}
        {features.length > 0 ? (
          <>
            <h3 className="sr-only">{t('upgrade-requests.portal.features')}</h3>
            <ul className="mt-3 flex flex-col gap-1 border-t pt-3">
              {features.map(({ key, name }) => (
                <li key={key} className="flex items-center gap-2">
                  <Check aria-hidden="true" className="size-4 text-success-text" />
                  {name}
                </li>
              ))}
            </ul>
          </>
        ) : null}
      </div>
      {tier.present ? null : asked ? (
        <p className="flex items-center gap-2 text-mute text-sm">
          <Clock aria-hidden="true" className="size-4" />
          {t('upgrade-requests.portal.asked', { tier: tier.name })}
        </p>
      ) : (
        <div>
          <Button variant={tier.self_service ? 'primary' : 'secondary'} disabled={busy} onClick={onChoose}>
            {t(`upgrade-requests.portal.${kind}`, { tier: tier.name })}
          </Button>
          <p className="mt-1.5 text-faint text-xs">{t(`upgrade-requests.portal.${kind}_hint`, { name })}</p>
        </div>
      )}
    </li>
  )
}

function priceOf({ price_minor, currency, billing_interval }: Tier): string {
  if (price_minor === 0) return t('portal.home.free')
  const price = formatMoney(price_minor, currency)
  return t(billing_interval === 'year' ? 'portal.home.per_year' : 'portal.home.per_month', { price })
}
