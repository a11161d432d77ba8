import { tenantQuery } from '@/libs/db/tenant-db'
import { ensureAccount } from './accounts'
import { type DemoTier, GROUP_BY, METERS, TIERS } from './demo-catalogue'
import { demoId } from './demo-id'
import type { DemoTenant } from './demo-tenants'

const DAY_MS = 86_400_000

/** Meters, tiers and customers with their tiers and logins. Runs in the tenant's context; what is there stays. */
export async function ensureCatalogue(demo: DemoTenant): Promise<void> {
  for (const meter of METERS)
    await tenantQuery(
      `insert into meters (id, slug, name, description, unit, aggregation, group_by) values ($1, $2, $3, $4, $5, $6, $7)
       on conflict (tenant_id, slug) do nothing`,
      [
        demoId(`meter ${meter.slug}`),
        meter.slug,
        meter.name,
        meter.description,
        meter.unit,
        meter.aggregation,
        GROUP_BY,
      ],
    )
  for (const tier of TIERS) await ensureTier(tier)
  for (const customer of demo.customers) await ensureCustomer(customer)
}

/** Age in days from which on a customer still has the first version of a tier that has two. */
const KEEPS_FIRST_VERSION = 60

async function ensureTier(tier: (typeof TIERS)[number]): Promise<void> {
  const id = demoId(`tier ${tier.slug}`)
  const first = tier.before ?? tier
  await tenantQuery(
    `insert into tiers (id, slug, name, description, price_minor, is_default, self_service) values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (tenant_id, slug) do nothing`,
    [id, tier.slug, tier.name, tier.description, first.price_minor, tier.is_default, tier.self_service ?? false],
  )
  await ensureVersion(tier, 1, first.caps)
  if (!tier.before) return
  await tenantQuery(
    'update tiers set version = 2, price_minor = $2, updated_at = now() where tenant_id = (select app.tenant_id()) and id = $1 and version = 1',
    [id, tier.price_minor],
  )
  await ensureVersion(tier, 2, tier.caps)
}

async function ensureVersion(tier: DemoTier, version: number, caps: DemoTier['caps']): Promise<void> {
  const id = demoId(`tier ${tier.slug}`)
  const name = version === 1 ? tier.slug : `${tier.slug} ${version}`
  for (const cap of caps)
    await tenantQuery(
      `insert into tier_caps (id, tier_id, version, meter_id, cap_limit, behaviour, rollover_max) values ($1, $2, $3, $4, $5, $6, $7)
       on conflict (tenant_id, tier_id, version, meter_id) do nothing`,
      [
        demoId(`cap ${name} ${cap.meter}`),
        id,
        version,
        demoId(`meter ${cap.meter}`),
        cap.limit,
        cap.behaviour,
        cap.rollover_max ?? 0,
      ],
    )
  for (const feature of tier.features)
    await tenantQuery(
      `insert into tier_features (id, tier_id, version, key, config) values ($1, $2, $3, $4, $5)
       on conflict (tenant_id, tier_id, version, key) do nothing`,
      [
        demoId(`feature ${name} ${feature.key}`),
        id,
        version,
        feature.key,
        feature.config ? JSON.stringify(feature.config) : null,
      ],
    )
}

async function ensureCustomer(customer: DemoTenant['customers'][number]): Promise<void> {
  const id = demoId(`customer ${customer.external_id}`)
  const since = new Date(Math.floor(Date.now() / DAY_MS - customer.since) * DAY_MS + 9 * 3_600_000)
  await tenantQuery(
    `insert into customers (id, external_id, name, email, created_at, updated_at) values ($1, $2, $3, $4, $5, $5)
     on conflict (tenant_id, external_id) do nothing`,
    [id, customer.external_id, customer.name, customer.email, since],
  )
  const tier = TIERS.find(({ slug }) => slug === customer.tier)
  const version = tier?.before && customer.since <= KEEPS_FIRST_VERSION ? 2 : 1
  await tenantQuery(
    `insert into subscriptions (id, customer_id, tier_id, tier_version, started_at) values ($1, $2, $3, $4, $5)
     on conflict do nothing`,
    [demoId(`subscription ${customer.external_id}`), id, demoId(`tier ${customer.tier}`), version, since],
  )
  if (!customer.signs_in) return
  const account = await ensureAccount(customer.email)
  await tenantQuery(
    `insert into customer_logins (id, customer_id, email, user_id, accepted_at) values ($1, $2, $3, $4, now())
     on conflict (tenant_id, user_id) do nothing`,
    [demoId(`login ${customer.external_id}`), id, customer.email, account.id],
  )
}
