import { tenantQuery } from '@/libs/db/tenant-db'
import { ensureAccount } from './accounts'
import { type DemoTenant, METERS, TIERS } from './demo-data'
import { demoId } from './demo-id'

const DAY_MS = 86_400_000

/** Meters, tiers and customers with their tiers and logins. Runs in the tenant's context; what is there stays. */
export async function ensureCatalogue(demo: DemoTenant): Promise<void> {
  for (const meter of METERS)
    await tenantQuery(
      `insert into meters (id, slug, name, description, unit, aggregation) values ($1, $2, $3, $4, $5, $6)
       on conflict (tenant_id, slug) do nothing`,
      [demoId(`meter ${meter.slug}`), meter.slug, meter.name, meter.description, meter.unit, meter.aggregation],
    )
  for (const tier of TIERS) await ensureTier(tier)
  for (const customer of demo.customers) await ensureCustomer(customer)
}

async function ensureTier(tier: (typeof TIERS)[number]): Promise<void> {
  const id = demoId(`tier ${tier.slug}`)
  await tenantQuery(
    `insert into tiers (id, slug, name, description, price_minor, is_default) values ($1, $2, $3, $4, $5, $6)
     on conflict (tenant_id, slug) do nothing`,
    [id, tier.slug, tier.name, tier.description, tier.price_minor, tier.is_default],
  )
  for (const cap of tier.caps)
    await tenantQuery(
      `insert into tier_caps (id, tier_id, meter_id, cap_limit, behaviour) values ($1, $2, $3, $4, $5)
       on conflict (tenant_id, tier_id, version, meter_id) do nothing`,
      [demoId(`cap ${tier.slug} ${cap.meter}`), id, demoId(`meter ${cap.meter}`), cap.limit, cap.behaviour],
    )
  for (const feature of tier.features)
    await tenantQuery(
      'insert into tier_features (id, tier_id, key, config) values ($1, $2, $3, $4) on conflict (tenant_id, tier_id, version, key) do nothing',
      [
        demoId(`feature ${tier.slug} ${feature.key}`),
        id,
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
  await tenantQuery(
    'insert into subscriptions (id, customer_id, tier_id, started_at) values ($1, $2, $3, $4) on conflict do nothing',
    [demoId(`subscription ${customer.external_id}`), id, demoId(`tier ${customer.tier}`), since],
  )
  if (!customer.signs_in) return
  const account = await ensureAccount(customer.email)
  await tenantQuery(
    `insert into customer_logins (id, customer_id, email, user_id, accepted_at) values ($1, $2, $3, $4, now())
     on conflict (tenant_id, user_id) do nothing`,
    [demoId(`login ${customer.external_id}`), id, customer.email, account.id],
  )
}
