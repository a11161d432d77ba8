import { tenantDb, tenantQuery } from '@/libs/db/tenant-db'
import { AppError } from '@/libs/errors'
import { newId } from '@/libs/ids'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { TierInput, TierPatch } from '../schema'

export type Caps = NonNullable<TierInput['usage_caps']>
export type Features = NonNullable<TierInput['feature_entitlements']>

const ADDITIVE: readonly string[] = ['SUM', 'COUNT']

const CAPS = `jsonb_to_recordset($4::jsonb) w (meter text, cap_limit numeric, behaviour text, period text, rollover_min numeric,
  rollover_max numeric, preserve_overage boolean)`
const CAP_COLUMNS = 'cap_limit, behaviour, period, rollover_min, rollover_max, preserve_overage'

/** Caps as the rows that `CAPS` reads. */
export function capRows(caps: Caps): string {
  const rows = Object.entries(caps).map(([meter, { limit, behaviour, period, rollover, preserve_overage }]) => ({
    meter,
    cap_limit: limit,
    behaviour,
    period,
    rollover_min: rollover.min,
    rollover_max: rollover.max,
    preserve_overage,
  }))
  return JSON.stringify(rows)
}

/** Whether a version of a tier has these caps already. */
export async function hasCaps(tierId: string, version: number, caps: Caps): Promise<boolean> {
  const [row] = await tenantQuery<{ same: boolean }>(
    `with there as (
       select m.slug, ${CAP_COLUMNS} from tier_caps c join meters m on m.tenant_id = $1 and m.id = c.meter_id
       where c.tenant_id = $1 and c.tier_id = $2 and c.version = $3
     ), wanted as (select meter, ${CAP_COLUMNS} from ${CAPS})
     select not exists (select * from there except select * from wanted)
       and not exists (select * from wanted except select * from there) as same`,
    [currentContext().tenantId, tierId, version, capRows(caps)],
  )
  return row?.same ?? false
}

/**
 * Gives a new version of a tier its caps; gives the slugs of meters that had to be made for it.
 * @throws AppError invalid_input where unused allowance cannot carry over, because the meter does not add up, and for an
 * archived meter that the version before does not cap.
 */
export async function writeCaps(tierId: string, version: number, caps: Caps): Promise<string[]> {
  await requireLiving(tierId, version, caps)
  const made = await ensureMeters(caps)
  await tenantQuery(
    `insert into tier_caps (id, tier_id, version, meter_id, ${CAP_COLUMNS})
     select app.uuid_v7(), $2, $3, m.id, ${CAP_COLUMNS} from ${CAPS} join meters m on m.tenant_id = $1 and m.slug = w.meter
     order by w.meter`,
    [currentContext().tenantId, tierId, version, capRows(caps)],
  )
  return made
}

/** A cap of a meter that was archived later stays; a new one would be of something that nobody can use. */
async function requireLiving(tierId: string, version: number, caps: Caps): Promise<void> {
  const archived = await tenantQuery<{ slug: string }>(
    `select m.slug from meters m where m.tenant_id = $1 and m.slug = any ($4) and m.archived_at is not null and not exists (
       select from tier_caps c where c.tenant_id = $1 and c.tier_id = $2 and c.version = $3 - 1 and c.meter_id = m.id)`,
    [currentContext().tenantId, tierId, version, Object.keys(caps)],
  )
  if (archived.length === 0) return
  const errors = archived.map(({ slug }) => ({
    pointer: `/usage_caps/${slug}`,
    detail: 'is archived: bring it back first',
  }))
  throw new AppError('invalid_input', `Check ${errors.map(({ pointer }) => pointer).join(', ')}.`, { errors })
}

async function ensureMeters(caps: Caps): Promise<string[]> {
  const slugs = Object.keys(caps).sort()
  if (slugs.length === 0) return []
  const made = await tenantDb()
    .insertInto('meters')
    .values(slugs.map((slug) => ({ id: newId(), slug, name: nameOf(slug) })))
    .onConflict((conflict) => conflict.columns(['tenant_id', 'slug']).doNothing())
    .returning('slug')
    .execute()
  const others = await tenantDb()
    .selectFrom('meters')
    .select(['slug', 'aggregation'])
    .where('slug', 'in', slugs)
    .where('aggregation', 'not in', ADDITIVE)
    .execute()
  const errors = others.flatMap(({ slug, aggregation }) => {
    const cap = caps[slug]
    if (!cap) return []
    const detail = `needs a meter of ${ADDITIVE.join(' or ')}; this one is of ${aggregation}`
    const carries = Number(cap.rollover.max) > 0
    return [
      ...(carries ? [{ pointer: `/usage_caps/${slug}/rollover`, detail }] : []),
      ...(cap.preserve_overage ? [{ pointer: `/usage_caps/${slug}/preserve_overage`, detail }] : []),
    ]
  })
  if (errors.length > 0) {
    throw new AppError('invalid_input', `Check ${errors.map(({ pointer }) => pointer).join(', ')}.`, { errors })
  }
  return made.map(({ slug }) => slug)
}

/** `api_calls` as `Api calls`. */
function nameOf(slug: string): string {
  const words = slug.replaceAll(/[_-]+/g, ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

const FEATURES = 'jsonb_to_recordset($4::jsonb) w (key text, config jsonb)'

/** Whether a version of a tier has these features already. */
export async function hasFeatures(tierId: string, version: number, features: Features): Promise<boolean> {
  const [row] = await tenantQuery<{ same: boolean }>(
    `with there as (select key, config from tier_features where tenant_id = $1 and tier_id = $2 and version = $3),
       wanted as (select key, config from ${FEATURES})
     select not exists (select * from there except select * from wanted)
       and not exists (select * from wanted except select * from there) as same`,
    [currentContext().tenantId, tierId, version, JSON.stringify(features)],
  )
  return row?.same ?? false
}

/** Gives a new version of a tier its features. */
export async function writeFeatures(tierId: string, version: number, features: Features): Promise<void> {
  await tenantQuery(
    `insert into tier_features (id, tier_id, version, key, config)
     select app.uuid_v7(), $2, $3, w.key, w.config from ${FEATURES} where $1 = app.tenant_id() order by w.key`,
    [currentContext().tenantId, tierId, version, JSON.stringify(features)],
  )
}

/** Writes a version of a tier after the one before it: what the change names, and the rest as it was. Gives the slugs of meters it made. */
export async function writeVersion(tierId: string, version: number, input: TierPatch): Promise<string[]> {
  if (input.feature_entitlements) await writeFeatures(tierId, version, input.feature_entitlements)
  else await copyFeatures(tierId, version - 1, version)
  if (input.usage_caps) return writeCaps(tierId, version, input.usage_caps)
  await copyCaps(tierId, version - 1, version)
  return []
}

/** Gives a new version of a tier the caps of the version before. */
async function copyCaps(tierId: string, from: number, to: number): Promise<void> {
  await tenantQuery(
    `insert into tier_caps (id, tier_id, version, meter_id, ${CAP_COLUMNS})
     select app.uuid_v7(), tier_id, $4, meter_id, ${CAP_COLUMNS} from tier_caps
     where tenant_id = $1 and tier_id = $2 and version = $3 order by id`,
    [currentContext().tenantId, tierId, from, to],
  )
}

/** Gives a new version of a tier the features of the version before. */
async function copyFeatures(tierId: string, from: number, to: number): Promise<void> {
  await tenantQuery(
    `insert into tier_features (id, tier_id, version, key, config)
     select app.uuid_v7(), tier_id, $4, key, config from tier_features
     where tenant_id = $1 and tier_id = $2 and version = $3 order by id`,
    [currentContext().tenantId, tierId, from, to],
  )
}
