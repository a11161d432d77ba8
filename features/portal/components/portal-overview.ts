/** What `GET /api/v1/portal/overview` answers. */
export type PortalUsage = {
  meter: { slug: string; name: string; unit: string }
  used: number | string
  limit: number | string | null
  behaviour: 'reject' | 'overflow' | null
  reset_at: string | null
}

export type PortalTier = {
  name: string
  description: string
  price_minor: number
  currency: string
  billing_interval: string
}

export type PortalUpgrade = {
  reason: string
  meter: { slug: string; name: string }
  percent: number
  next_tiers: ReadonlyArray<PortalTier & { id: string; limit: number | string | null }>
}

export type PortalOverview = {
  customer: { id: string; external_id: string; name: string | null; email: string | null; created_at: string }
  tier: PortalTier | null
  usage: readonly PortalUsage[]
  features: ReadonlyArray<{ key: string }>
  upgrade: PortalUpgrade | null
}
