import { tenantDb } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import type { TierInput } from '../schema'

type Caps = NonNullable<TierInput['usage_caps']>
type Features = NonNullable<TierInput['feature_entitlements']>

/** Makes the caps of a tier these; gives the slugs of meters that had to be made for it. What stays the same is left alone. */
export async function replaceCaps(tierId: string, caps: Caps): Promise<string[]> {
  const slugs = Object.keys(caps).sort()
  const { ids, made } = await ensureMeters(slugs)
  const present = await tenantDb()
    .selectFrom('tier_caps')
    .select(['id', 'meter_id', 'cap_limit', 'behaviour', 'period'])
    .where('tier_id', '=', tierId)
    .execute()
  const wanted = new Map(slugs.map((slug) => [ids.get(slug) ?? '', caps[slug]]))
  for (const cap of present) {
    const next = wanted.get(cap.meter_id)
    wanted.delete(cap.meter_id)
    if (!next) {
      await tenantDb().deleteFrom('tier_caps').where('id', '=', cap.id).execute()
    } else if (cap.cap_limit !== String(next.limit) || cap.behaviour !== next.behaviour || cap.period !== next.period) {
      await tenantDb()
        .updateTable('tier_caps')
        .set({ cap_limit: String(next.limit), behaviour: next.behaviour, period: next.period })
        .where('id', '=', cap.id)
        .execute()
    }
  }
  for (const [meterId, cap] of wanted) {
    if (!cap) continue
    await tenantDb()
      .insertInto('tier_caps')
      .values({
        id: newId(),
        tier_id: tierId,
        meter_id: meterId,
        cap_limit: String(cap.limit),
        behaviour: cap.behaviour,
        period: cap.period,
      })
      .execute()
  }
  return made
}

async function ensureMeters(slugs: readonly string[]): Promise<{ ids: Map<string, string>; made: string[] }> {
  if (slugs.length === 0) return { ids: new Map(), made: [] }
  const made = await tenantDb()
    .insertInto('meters')
    .values(slugs.map((slug) => ({ id: newId(), slug, name: nameOf(slug) })))
    .onConflict((conflict) => conflict.columns(['tenant_id', 'slug']).doNothing())
    .returning('slug')
    .execute()
  const rows = await tenantDb()
    .selectFrom('meters')
    .select(['id', 'slug'])
    .where('slug', 'in', [...slugs])
    .execute()
  return { ids: new Map(rows.map(({ id, slug }) => [slug, id])), made: made.map(({ slug }) => slug) }
}

/** `api_calls` as `Api calls`. */
function nameOf(slug: string): string {
  const words = slug.replaceAll(/[_-]+/g, ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** Makes the features of a tier these. What stays the same is left alone. */
export async function replaceFeatures(tierId: string, features: Features): Promise<void> {
  const present = await tenantDb()
    .selectFrom('tier_features')
    .select(['id', 'key', 'config'])
    .where('tier_id', '=', tierId)
    .execute()
  const wanted = new Map(features.map(({ key, config }) => [key, config ?? null]))
  for (const { id, key, config } of present) {
    if (!wanted.has(key)) {
      await tenantDb().deleteFrom('tier_features').where('id', '=', id).execute()
      continue
    }
    const next = wanted.get(key)
    wanted.delete(key)
    if (JSON.stringify(next) !== JSON.stringify(config)) {
      await tenantDb()
        .updateTable('tier_features')
        .set({ config: toJson(next) })
        .where('id', '=', id)
        .execute()
    }
  }
  for (const [key, config] of wanted) {
    await tenantDb()
      .insertInto('tier_features')
      .values({ id: newId(), tier_id: tierId, key, config: toJson(config) })
      .execute()
  }
}

const toJson = (config: unknown): string | null =>
  config === null || config === undefined ? null : JSON.stringify(config)
