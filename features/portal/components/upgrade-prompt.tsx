'use client'

import { Sparkles } from 'lucide-react'
import { LinkButton } from '@/libs/ui/button'
import { formatPercent, formatQuantity } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import { type PortalUpgrade, type PortalUsage, priceOf } from './portal-overview'

/** Shown from 80 % of a cap: what is short, which tiers give more of it, and whom to ask. */
export function UpgradePrompt({
  upgrade,
  behaviour,
  included,
  unit,
  name,
  supportUrl,
}: {
  upgrade: PortalUpgrade
  /** The unit of the meter that is short. */
  unit: string
  /** Whether the tier gives any of it at all. */
  included: boolean
  /** What happens beyond the cap. */
  behaviour: PortalUsage['behaviour']
  name: string
  supportUrl: string | null
}) {
  const reached = upgrade.percent >= 100
  const meter = upgrade.name
  const refused = included ? 'portal.upgrade.reached_refused' : 'portal.upgrade.not_included_refused'
  return (
    <section
      aria-labelledby="upgrade-title"
      className="rounded-lg border border-accent bg-accent-soft px-4 py-4 sm:px-5"
    >
      <div className="flex flex-wrap items-start gap-x-6 gap-y-4">
        <div className="min-w-0 flex-1 basis-72">
          <h2 id="upgrade-title" className="flex items-center gap-2 font-semibold text-base tracking-tight">
            <Sparkles aria-hidden="true" className="size-4 text-accent-text" />
            {reached
              ? t(included ? 'portal.upgrade.reached' : 'portal.upgrade.not_included', { meter })
              : t('portal.upgrade.near', { meter, percent: formatPercent(Math.floor(upgrade.percent) / 100) })}
          </h2>
          <p className="mt-1 text-mute text-sm">
            {reached
              ? t(behaviour === 'overflow' ? 'portal.upgrade.reached_overage' : refused)
              : t('portal.upgrade.near_description')}
          </p>
          {upgrade.next_tiers.length > 0 ? (
            <ul aria-label={t('portal.upgrade.next')} className="mt-3 flex flex-wrap gap-2">
              {upgrade.next_tiers.map((tier) => (
                <li key={tier.id} className="rounded-md border bg-surface px-3 py-2 text-sm">
                  <span className="font-medium">{tier.name}</span>
                  <span className="block text-mute">
                    {tier.limit === null
                      ? t('portal.upgrade.tier_unlimited', { meter })
                      : t('portal.upgrade.tier_cap', { limit: formatQuantity(tier.limit, unit), meter })}
                    {` · ${priceOf(tier)}`}
                  </span>
                </li>
              ))}
            </ul>
          ) : (
            <p className="mt-3 text-sm">{t('portal.upgrade.none', { name })}</p>
          )}
        </div>
        <div className="flex min-w-0 max-w-full flex-wrap gap-2">
          {supportUrl ? (
            <LinkButton href={supportUrl} className="max-w-full">
              <span className="min-w-0 truncate">{t('portal.upgrade.ask', { name })}</span>
            </LinkButton>
          ) : null}
          {upgrade.next_tiers.length > 0 ? (
            <LinkButton href="/tiers" variant="primary">
              {t('portal.upgrade.see')}
            </LinkButton>
          ) : null}
        </div>
      </div>
    </section>
  )
}
