import { Infinity as InfinityIcon, OctagonX, Scissors } from 'lucide-react'
import type { Tier, TierCap } from '@/features/tiers/components/tier-form-values'
import { Badge } from '@/libs/ui/badge'
import { formatMoney, formatNumber, formatQuantity, type Numeric } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'

/** "$49.99 / month", or "Free". */
export function tierPrice(tier: Pick<Tier, 'price_minor' | 'currency' | 'billing_interval'>): string {
  if (tier.price_minor === 0) return t('tiers.free')
  const amount = formatMoney(tier.price_minor, tier.currency)
  return t(`tiers.price_per.${tier.billing_interval}`, { amount })
}

/** The caps of a tier, one line each, what happens past each told apart by icon and words. */
export function TierCaps({
  caps,
  meterOf,
}: {
  caps: Readonly<Record<string, TierCap>>
  /** What people call a meter, and its unit, by its slug. */
  meterOf: (slug: string) => { name: string; unit: string }
}) {
  const entries = Object.entries(caps)
  if (entries.length === 0) return <span className="text-faint">{t('tiers.no_caps')}</span>
  return (
    <ul className="flex flex-col gap-1 max-sm:items-end">
      {entries.map(([slug, cap]) => {
        const { name, unit } = meterOf(slug)
        // Of other units the name of the meter tells enough.
        const amount = (value: Numeric) => formatQuantity(value, unit === 'bytes' ? unit : undefined)
        return (
          <li
            key={slug}
            className="flex items-center gap-x-1.5 whitespace-nowrap max-sm:flex-wrap max-sm:justify-end"
            title={`${slug} · ${t(`tiers.behaviour.${cap.behaviour}_hint`)}`}
          >
            <BehaviourIcon behaviour={cap.behaviour} />
            <span className="tabular">{amount(cap.limit)}</span>
            <span className="max-w-44 truncate text-mute">{name}</span>
            <span className="text-faint text-xs">
              {t(`tiers.per.${cap.period}`)}
              <span className="sr-only">, {t(`tiers.behaviour.${cap.behaviour}`)}</span>
              {cap.rollover ? ` ${t('tiers.carries_over', { amount: amount(cap.rollover.max) })}` : null}
            </span>
          </li>
        )
      })}
    </ul>
  )
}

function BehaviourIcon({ behaviour }: { behaviour: TierCap['behaviour'] }) {
  const Icon = behaviour === 'reject' ? OctagonX : behaviour === 'overflow' ? InfinityIcon : Scissors
  return <Icon aria-hidden="true" className="size-3.5 shrink-0 text-faint" />
}

const SHOWN = 4

/** The features of a tier by their names, or keys where they have none; beyond four, how many more. */
export function TierFeatures({
  features,
  nameOf,
}: {
  features: ReadonlyArray<{ key: string }>
  nameOf: (key: string) => string | null
}) {
  if (features.length === 0) return <span className="text-faint">{t('tiers.no_features')}</span>
  const rest = features.slice(SHOWN)
  return (
    <span className="flex max-w-72 flex-wrap gap-1 max-sm:justify-end">
      {features.slice(0, SHOWN).map((feature) => (
        <Badge key={feature.key} className="font-normal">
          <span className="max-w-52 truncate" title={feature.key}>
            {nameOf(feature.key) ?? feature.key}
          </span>
        </Badge>
      ))}
      {rest.length > 0 ? (
        <Badge className="font-normal">
          <span title={rest.map(({ key }) => nameOf(key) ?? key).join(', ')}>
            {t('tiers.more', { count: rest.length })}
          </span>
        </Badge>
      ) : null}
    </span>
  )
}

/** For how many customers a tier holds: those who are subscribed to it, and those who have it as the default. */
export function TierHolders({ customers, byDefault }: { customers: number; byDefault: number }) {
  return (
    <>
      {formatNumber(customers + byDefault)}
      {byDefault > 0 ? (
        <span className="block whitespace-nowrap text-faint text-xs">
          {customers > 0 ? t('tiers.some_by_default', { count: byDefault }) : t('tiers.all_by_default')}
        </span>
      ) : null}
    </>
  )
}
