import { formatMoney } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'

/** What `GET /api/v1/portal/overview` answers, as far as the portal shows it. */
export type PortalUsage = {
  meter: string
  name: string
  unit: string
  used: number | string
  limit: number | string | null
  behaviour: 'reject' | 'overflow' | 'cap' | null
  reset_at: string
}

export type PortalTier = {
  id: string
  name: string
  price_minor: number
  currency: string
  billing_interval: 'month' | 'year'
}

export type PortalUpgrade = {
  meter: string
  name: string
  percent: number
  next_tiers: ReadonlyArray<PortalTier & { limit: number | string | null }>
}

export type PortalOverview = {
  customer: { id: string; external_id: string; name: string | null; email: string | null }
  tier: (PortalTier & { description: string }) | null
  usage: readonly PortalUsage[]
  features: ReadonlyArray<{ key: string; name: string }>
  upgrade: PortalUpgrade | null
}

/** "$79.00 a month", or that it is free. */
export function priceOf(tier: PortalTier): string {
  if (tier.price_minor === 0) return t('portal.home.free')
  const price = formatMoney(tier.price_minor, tier.currency)
  return tier.billing_interval === 'year' ? t('portal.home.per_year', { price }) : t('portal.home.per_month', { price })
}
