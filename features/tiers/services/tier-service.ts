import { cutPage, isAnyText, type Page, readCursor } from '@/libs/api-utils/page'
import { containsPattern } from '@/libs/db/like-pattern'
import { tenantDb, tenantQuery } from '@/libs/db/tenant-db'
import { AppError, invalidInput, notFound } from '@/libs/errors'
import { isUuid, newId } from '@/libs/ids'
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { fromMinor } from '@/libs/ingest/money'
import { slugOf } from '@/libs/ingest/slug'
import { changeTerms } from '@/libs/metering/change-terms'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { TierInput, TierListQuery, TierPatch } from '../schema'
import { dropDefault, lockDefault } from './default-tier'
import { hasCaps, hasFeatures, writeCaps, writeFeatures, writeVersion } from './tier-content-service'
import { moveSubscriptions } from './tier-move-service'
import { changedPriceOf, priceOf } from './tier-price'

export type TierCapRow = {
  limit: Quantity
  behaviour: string
  period: string
  rollover: { min: Quantity; max: Quantity } | null
  preserve_overage: boolean
}
export type TierRow = {
  id: string
  slug: string
  name: string
  description: string
  version: number
  newest_version: number
  price: number
  price_minor: number
  currency: string
  billing_interval: string
  is_default: boolean
  self_service: boolean
  usage_caps: Record<string, TierCapRow>
  feature_entitlements: { key: string; config: unknown }[]
  customers: number
  customers_by_default: number
  customers_behind: number
  created_at: Date
  updated_at: Date
  archived_at: Date | null
}
/** A tier as a change leaves it. */
export type ChangedTier = TierRow & { created_meters: string[]; moved?: number }

type StoredCap = Omit<TierCapRow, 'limit' | 'rollover'> & {
  meter: string
  limit: string
  rollover_min: string
  rollover_max: string
}
export type StoredContent = {
  price_minor: number
  currency: string
  usage_caps: StoredCap[]
}
type StoredTier = Omit<TierRow, 'price' | 'usage_caps'> & StoredContent

/** Caps and features of the version `v` of a tier, for a select with $1 as the tenant. */
export const CONTENT = `
    (select coalesce(jsonb_agg(jsonb_build_object('meter', m.slug, 'limit', c.cap_limit::text, 'behaviour', c.behaviour,
        'period', c.period, 'rollover_min', c.rollover_min::text, 'rollover_max', c.rollover_max::text,
        'preserve_overage', c.preserve_overage) order by m.slug), '[]')
      from tier_caps c join meters m on m.tenant_id = $1 and m.id = c.meter_id
      where c.tenant_id = $1 and c.tier_id = v.tier_id and c.version = v.version) as usage_caps,
    (select coalesce(jsonb_agg(jsonb_build_object('key', f.key, 'config', f.config) order by f.key), '[]')
      from tier_features f where f.tenant_id = $1 and f.tier_id = v.tier_id and f.version = v.version) as feature_entitlements`

/** The statement that reads tiers, each in the version the expression names. */
const select = (version: string) => `
  select t.id, t.slug, t.name, t.description, v.version, t.version as newest_version, v.price_minor, v.currency, v.billing_interval,
    t.is_default, t.self_service, t.created_at, t.updated_at, t.archived_at, ${CONTENT},
    (select count(*) from subscriptions s where s.tenant_id = $1 and s.tier_id = t.id and s.canceled_at is null) as customers,
    (select count(*) from customers c where t.is_default and c.tenant_id = $1 and c.archived_at is null and not exists (
      select from subscriptions s where s.tenant_id = $1 and s.customer_id = c.id and s.canceled_at is null)) as customers_by_default,
    (select count(*) from subscriptions s where s.tenant_id = $1 and s.tier_id = t.id and s.canceled_at is null
      and s.tier_version < t.version) as customers_behind
  from tiers t join tier_versions v on v.tenant_id = $1 and v.tier_id = t.id and v.version = ${version}`

/** Price and caps of a version as they go out. */
export function toContent<Row extends StoredContent>({ usage_caps, ...row }: Row) {
  const caps = usage_caps.map(({ meter, limit, rollover_min, rollover_max, ...cap }): [string, TierCapRow] => {
    const rollover = { min: toQuantity(rollover_min), max: toQuantity(rollover_max) }
    return [meter, { ...cap, limit: toQuantity(limit), rollover: rollover.max === 0 ? null : rollover }]
  })
  return { ...row, price: fromMinor(row.price_minor, row.currency), usage_caps: Object.fromEntries(caps) }
}

/** Tiers, the cheapest first; archived ones only when asked for. */
export async function listTiers({ cursor, limit, q, archived }: TierListQuery): Promise<Page<TierRow>> {
  const [price, slug] = readCursor(cursor, (text) => /^\d{1,13}$/.test(text), isAnyText)
  const rows = await tenantQuery<StoredTier>(
    `${select('t.version')}
     where t.tenant_id = $1 and ($2 = 'all' or (t.archived_at is not null) = ($2 = 'true'))
       and ($3::text is null or t.name ilike $3 or t.slug ilike $3)
       and ($4::bigint is null or (t.price_minor, t.slug) > ($4, $5))
     order by t.price_minor, t.slug limit $6`,
    [currentContext().tenantId, archived, q ? containsPattern(q) : null, price ?? null, slug ?? null, limit + 1],
  )
  return cutPage(
    rows.map((row): TierRow => toContent(row)),
    limit,
    (row) => [String(row.price_minor), row.slug],
  )
}

/** One tier by id or slug, in its newest version or in the one asked for. @throws AppError not_found. */
export async function getTier(ref: string, version?: number): Promise<TierRow> {
  const [row] = await tenantQuery<StoredTier>(
    `${select('coalesce($3::integer, t.version)')} where t.tenant_id = $1 and t.${isUuid(ref) ? 'id' : 'slug'} = $2`,
    [currentContext().tenantId, ref.toLowerCase(), version ?? null],
  )
  if (!row) throw notFound()
  return toContent(row)
}

/**
 * Makes a tier, in its version 1. Meters that `usage_caps` names and that do not exist are made, and named in the answer.
 * @throws AppError conflict when the slug is taken; invalid_input where a meter cannot carry over.
 */
export async function createTier(input: TierInput): Promise<ChangedTier> {
  const slug = input.slug ?? slugOf(input.name)
  if (!slug) throw invalidInput('/slug', 'is needed: the name gives none')
  if (input.is_default) await lockDefault()
  return input.is_default ? changeTerms(null, () => insertTier(slug, input)) : insertTier(slug, input)
}

async function insertTier(slug: string, input: TierInput): Promise<ChangedTier> {
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
      self_service: input.self_service ?? false,
    })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'slug']).doNothing())
    .returning('id')
    .executeTakeFirst()
  if (!row) throw new AppError('conflict', `A tier with the slug ${slug} exists already.`)
  const createdMeters = await writeCaps(row.id, 1, input.usage_caps ?? {})
  await writeFeatures(row.id, 1, input.feature_entitlements ?? [])
  return { ...(await getTier(row.id)), created_meters: createdMeters }
}

/**
 * Changes a tier, archives it or brings it back. Another price, caps or features make a new version: new subscriptions get
 * it, those there are keep theirs until they are moved (`move` does it here); customers who have the tier as the default
 * always have its newest version. What is as it was makes none.
 * @throws AppError not_found; changed_meanwhile when `if_version` is not its newest one; conflict when a tier that customers
 * have, or the default, is to be archived, or an archived one to be the default; forbidden to move without customers:write;
 * invalid_input where a meter cannot carry over.
 */
export async function updateTier(ref: string, input: TierPatch): Promise<ChangedTier> {
  const { id } = await getTier(ref)
  if (input.is_default) await lockDefault()
  // One change of a tier at a time. Only one that archives it keeps others from giving it to a customer meanwhile: who does that
  // may hold the usage that a change waits for.
  const lock = input.archived ? 'update' : 'no key update'
  await tenantQuery(`select id from tiers where tenant_id = $1 and id = $2 for ${lock}`, [
    currentContext().tenantId,
    id,
  ])
  const present = await getTier(id)
  requireVersion(present, input)
  if (input.archived && !present.archived_at) requireUnused(present, input)
  if (input.is_default && (input.archived ?? present.archived_at))
    throw new AppError('conflict', 'An archived tier cannot be the default. Bring it back first.')
  const changes = await changesOf(present, input)
  const version = present.newest_version + (changes.any ? 1 : 0)
  const isDefault = input.is_default ?? present.is_default
  const archives = input.archived !== undefined && input.archived !== (present.archived_at !== null)
  const write = async () => {
    if (input.is_default && !present.is_default) await dropDefault()
    await tenantDb()
      .updateTable('tiers')
      .set({
        ...(input.name === undefined ? {} : { name: input.name }),
        ...(input.description === undefined ? {} : { description: input.description }),
        ...(changes.any ? { ...changes.price, version } : {}),
        ...(input.is_default === undefined ? {} : { is_default: input.is_default }),
        ...(input.self_service === undefined ? {} : { self_service: input.self_service }),
        ...(archives ? { archived_at: input.archived ? new Date() : null } : {}),
        updated_at: new Date(),
      })
      .where('id', '=', id)
      .execute()
    return changes.any ? writeVersion(id, version, input) : []
  }
  const ofDefault = isDefault !== present.is_default || (isDefault && changes.caps)
  const createdMeters = await (ofDefault ? changeTerms(null, write) : write())
  const moved = input.move ? { moved: (await moveSubscriptions(id, {})).moved } : {}
  return { ...(await getTier(id)), created_meters: createdMeters, ...moved }
}

/** @throws AppError changed_meanwhile when the change was written for another version than the newest. */
export function requireVersion({ newest_version }: TierRow, { if_version }: TierPatch): void {
  if (if_version !== undefined && if_version !== newest_version) {
    throw new AppError(
      'changed_meanwhile',
      `Somebody changed the price, caps or features of this tier meanwhile: there is version ${newest_version} now, and this was written for version ${if_version}. Look at it again and repeat the change on it.`,
      { extra: { newest_version } },
    )
  }
}

/** What of a tier's version a change would change: its price as stored then, whether its caps are new, and whether anything is. */
export async function changesOf(present: TierRow, input: TierPatch) {
  const currency = input.currency ?? present.currency
  const price = {
    price_minor: changedPriceOf(present, input, currency),
    currency,
    billing_interval: input.billing_interval ?? input.interval ?? present.billing_interval,
  }
  const { id, newest_version: version } = present
  const caps = input.usage_caps !== undefined && !(await hasCaps(id, version, input.usage_caps))
  const any =
    caps ||
    price.price_minor !== present.price_minor ||
    price.currency !== present.currency ||
    price.billing_interval !== present.billing_interval ||
    (input.feature_entitlements !== undefined && !(await hasFeatures(id, version, input.feature_entitlements)))
  return { any, caps, price }
}

function requireUnused({ customers, is_default }: TierRow, input: TierPatch): void {
  if (customers > 0) {
    throw new AppError(
      'conflict',
      `${customers === 1 ? 'A customer has' : `${customers} customers have`} this tier. Move them to another one first.`,
      { extra: { customers } },
    )
  }
  if (is_default && input.is_default !== false) {
    throw new AppError('conflict', 'This is the default tier. Make another one the default first.')
  }
}
