import { cutPage, decodeCursor, type Page } from '@/libs/api-utils/page'
import { tenantDb, tenantQuery } from '@/libs/db/tenant-db'
import { AppError, notFound } from '@/libs/errors'
import { isUuid, newId } from '@/libs/ids'
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { fromMinor, toMinor } from '@/libs/ingest/money'
import { slugOf } from '@/libs/ingest/slug'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { TierInput, TierListQuery, TierPatch } from '../schema'
import { replaceCaps, replaceFeatures } from './tier-content-service'

export type TierRow = {
  id: string
  slug: string
  name: string
  description: string
  price: number
  price_minor: number
  currency: string
  billing_interval: string
  is_default: boolean
  usage_caps: Record<string, { limit: Quantity; behaviour: string; period: string }>
  feature_entitlements: { key: string; config: unknown }[]
  customers: number
  created_at: Date
  updated_at: Date
  archived_at: Date | null
}

type StoredTier = Omit<TierRow, 'price' | 'usage_caps' | 'feature_entitlements'> & {
  usage_caps: { meter: string; limit: string; behaviour: string; period: string }[]
  feature_entitlements: { key: string; config: unknown }[]
}

const SELECT = `
  select t.id, t.slug, t.name, t.description, t.price_minor, t.currency, t.billing_interval, t.is_default, t.created_at, t.updated_at,
    t.archived_at,
    (select coalesce(jsonb_agg(jsonb_build_object('meter', m.slug, 'limit', c.cap_limit::text, 'behaviour', c.behaviour,
        'period', c.period) order by m.slug), '[]')
      from tier_caps c join meters m on m.tenant_id = $1 and m.id = c.meter_id
      where c.tenant_id = $1 and c.tier_id = t.id) as usage_caps,
    (select coalesce(jsonb_agg(jsonb_build_object('key', f.key, 'config', f.config) order by f.key), '[]')
      from tier_features f where f.tenant_id = $1 and f.tier_id = t.id) as feature_entitlements,
    (select count(*) from subscriptions s where s.tenant_id = $1 and s.tier_id = t.id and s.canceled_at is null) as customers
  from tiers t`

function toTier({ usage_caps, ...row }: StoredTier): TierRow {
  const caps = usage_caps.map(({ meter, limit, behaviour, period }) => [
    meter,
    { limit: toQuantity(limit), behaviour, period },
  ])
  return { ...row, price: fromMinor(row.price_minor, row.currency), usage_caps: Object.fromEntries(caps) }
}

/** Tiers, the cheapest first; archived ones only when asked for. */
export async function listTiers({ cursor, limit, q, archived }: TierListQuery): Promise<Page<TierRow>> {
  const [price, slug] = cursor ? decodeCursor(cursor, 2) : []
  if (price !== undefined && !/^\d{1,13}$/.test(price))
    throw new AppError('bad_request', 'This cursor is not one we gave out.')
  const rows = await tenantQuery<StoredTier>(
    `${SELECT}
     where t.tenant_id = $1 and ($2 = 'all' or (t.archived_at is not null) = ($2 = 'true'))
       and ($3::text is null or t.name ilike $3 or t.slug ilike $3)
       and ($4::bigint is null or (t.price_minor, t.slug) > ($4, $5))
     order by t.price_minor, t.slug limit $6`,
    [
      currentContext().tenantId,
      archived,
      q ? `%${q.replace(/[\\%_]/g, '\\$&')}%` : null,
      price ?? null,
      slug ?? null,
      limit + 1,
    ],
  )
  return cutPage(rows.map(toTier), limit, (row) => [String(row.price_minor), row.slug])
}

/** One tier by id or slug. @throws AppError not_found. */
export async function getTier(ref: string): Promise<TierRow> {
  const [row] = await tenantQuery<StoredTier>(
    `${SELECT} where t.tenant_id = $1 and t.${isUuid(ref) ? 'id' : 'slug'} = $2`,
    [currentContext().tenantId, ref.toLowerCase()],
  )
  if (!row) throw notFound()
  return toTier(row)
}

/**
 * Makes a tier. Meters that `usage_caps` names and that do not exist are made, and named in the answer.
 * @throws AppError conflict when the slug is taken.
 */
export async function createTier(input: TierInput): Promise<TierRow & { created_meters: string[] }> {
  const slug = input.slug ?? slugOf(input.name)
  if (!slug) {
    throw new AppError('invalid_input', 'Check /slug.', {
      errors: [{ pointer: '/slug', detail: 'is needed: the name gives none' }],
    })
  }
  const currency = input.currency ?? 'USD'
  if (input.is_default) await dropDefault()
  const row = await tenantDb()
    .insertInto('tiers')
    .values({
      id: newId(),
      slug,
      name: input.name,
      description: input.description ?? '',
      price_minor: priceOf(input, currency) ?? 0,
      currency,
      billing_interval: input.billing_interval ?? input.interval ?? 'month',
      is_default: input.is_default ?? false,
    })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'slug']).doNothing())
    .returning('id')
    .executeTakeFirst()
  if (!row) throw new AppError('conflict', `A tier with the slug ${slug} exists already.`)
  const createdMeters = await replaceCaps(row.id, input.usage_caps ?? {})
  await replaceFeatures(row.id, input.feature_entitlements ?? [])
  return { ...(await getTier(row.id)), created_meters: createdMeters }
}

/**
 * Changes a tier, archives it or brings it back; caps hold for the very next event.
 * @throws AppError not_found; conflict when a tier that customers have, or the default, is to be archived.
 */
export async function updateTier(ref: string, input: TierPatch): Promise<TierRow & { created_meters: string[] }> {
  const present = await getTier(ref)
  if (input.archived && !present.archived_at) requireUnused(present, input)
  const currency = input.currency ?? present.currency
  const price = priceOf(input, currency)
  const interval = input.billing_interval ?? input.interval
  if (input.is_default && !present.is_default) await dropDefault()
  await tenantDb()
    .updateTable('tiers')
    .set({
      ...(input.name === undefined ? {} : { name: input.name }),
      ...(input.description === undefined ? {} : { description: input.description }),
      ...(price === undefined ? {} : { price_minor: price }),
      ...(input.currency === undefined ? {} : { currency }),
      ...(interval === undefined ? {} : { billing_interval: interval }),
      ...(input.is_default === undefined ? {} : { is_default: input.is_default }),
      ...(input.archived === undefined || input.archived === (present.archived_at !== null)
        ? {}
        : { archived_at: input.archived ? new Date() : null }),
      updated_at: new Date(),
    })
    .where('id', '=', present.id)
    .execute()
  const createdMeters = input.usage_caps ? await replaceCaps(present.id, input.usage_caps) : []
  if (input.feature_entitlements) await replaceFeatures(present.id, input.feature_entitlements)
  return { ...(await getTier(present.id)), created_meters: createdMeters }
}

function requireUnused({ customers, is_default }: TierRow, input: TierPatch): void {
  if (customers > 0) {
    throw new AppError('conflict', `${customers} customers have this tier. Move them to another one first.`, {
      extra: { customers },
    })
  }
  if (is_default && input.is_default !== false) {
    throw new AppError('conflict', 'This is the default tier. Make another one the default first.')
  }
}

async function dropDefault(): Promise<void> {
  await tenantDb()
    .updateTable('tiers')
    .set({ is_default: false, updated_at: new Date() })
    .where('is_default', '=', true)
    .execute()
}

function priceOf(
  { price, price_minor }: Pick<TierPatch, 'price' | 'price_minor'>,
  currency: string,
): number | undefined {
  return price === undefined ? price_minor : toMinor(price, currency)
}
