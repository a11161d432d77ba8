import { createHash } from 'node:crypto'
import { AppError } from '@/libs/errors'
import { newId } from '@/libs/ids'
import { toSlug } from './slug'
import type { Actor } from './tenant-context'

/** The Idempotency-Key of a request, and the SHA-256 of what was asked for. */
export type Repeatable = { key: string; hash: Buffer }

/** Runs one statement where the registry's functions may be called: on the server pool, or as an operator. */
export type RegistryQuery = <Row extends Record<string, unknown>>(text: string, values: unknown[]) => Promise<Row[]>

export type NewTenant = {
  name: string
  slug?: string | undefined
  /** The name under which the slug was sent. */
  slug_field?: 'slug' | 'subdomain' | undefined
  description?: string | undefined
  plan: string
  time_zone?: string | undefined
  metadata: Record<string, unknown>
}

export type Registration = {
  actor: Actor
  /** Its first owner; null for a tenant that an operator makes for somebody who will be invited. */
  owner: { id: string; email: string } | null
  /** How many tenants the owner may own; null for no limit. */
  maxTenants: number | null
  /** A repeat with the same key by the same actor is the same tenant; with another request it is refused. */
  repeatable: Repeatable | null
}

/** The same id for the same actor and key: a UUID version 8 of their SHA-256. */
function keyedId(actorId: string, key: string): string {
  const bytes = createHash('sha256').update(`tenant\n${actorId}\n${key}`).digest().subarray(0, 16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

async function findFreeSlugs(query: RegistryQuery, candidates: string[], limit: number): Promise<string[]> {
  const rows = await query<{ slug: string }>(
    `select c.slug from unnest($1::text[]) with ordinality c (slug, n)
     where app.check_slug(c.slug) is null order by c.n limit $2`,
    [candidates, limit],
  )
  return rows.map((row) => row.slug)
}

const REFUSALS: Record<string, string> = {
  taken: 'This address is taken.',
  reserved: 'This address is reserved.',
  look_alike: 'This address looks too much like one that is in use.',
}

/** @throws AppError conflict or invalid_input, with free slugs to choose from. */
async function requireFreeSlug(query: RegistryQuery, slug: string, field: string): Promise<void> {
  const [row] = await query<{ reason: string | null }>('select app.check_slug($1) as reason', [slug])
  if (!row?.reason) return
  const suggestions = await findFreeSlugs(
    query,
    [`${slug}-hq`, `${slug}-team`, `get-${slug}`, `${slug}-2`, `${slug}-app`],
    3,
  )
  const free = suggestions.length > 0 ? ` Free: ${suggestions.join(', ')}.` : ''
  const taken = row.reason === 'taken'
  throw new AppError(taken ? 'conflict' : 'invalid_input', `The slug ${slug} cannot be had.`, {
    errors: [{ pointer: `/${field}`, detail: `${REFUSALS[row.reason] ?? 'This address cannot be had.'}${free}` }],
    extra: { suggestions },
  })
}

async function chooseSlug(query: RegistryQuery, name: string): Promise<string> {
  const base = toSlug(name)
  const tail = newId().slice(-6)
  const candidates = [base, ...[2, 3, 4, 5, 6, 7, 8, 9].map((number) => `${base}-${number}`), `${base}-${tail}`]
  const [slug] = await findFreeSlugs(query, candidates, 1)
  return slug ?? `${base}-${newId().slice(-12)}`
}

/** The id of a plan by its name or alias, which was sent as `field`. @throws AppError invalid_input when there is no such plan. */
export async function requirePlan(query: RegistryQuery, name: string, field = 'plan'): Promise<string> {
  const [row] = await query<{ id: string }>(
    'select id from plans where id = coalesce((select plan_id from plan_aliases where alias = $1), $1)',
    [name],
  )
  if (row) return row.id
  throw new AppError('invalid_input', `There is no plan ${name}.`, {
    errors: [{ pointer: `/${field}`, detail: 'is not a plan' }],
  })
}

/**
 * Puts a tenant into the registry with its placement, branding and first owner, and gives its id. `repeated` is true when
 * the same request had made it before: then nothing is done. Within a transaction; until that ends, no other tenant is made,
 * so that two never choose the same name.
 * @throws AppError conflict for a taken slug, invalid_input for a reserved one or a look-alike (both with suggestions),
 * plan_limit_reached when the owner has enough tenants, idempotency_mismatch for the same key with another request.
 */
export async function registerTenant(
  query: RegistryQuery,
  input: NewTenant,
  { actor, owner, maxTenants, repeatable }: Registration,
): Promise<{ id: string; repeated: boolean }> {
  await query(`select pg_advisory_xact_lock(hashtextextended('registration of tenants', 0))`, [])
  const id = repeatable ? keyedId(actor.id, repeatable.key) : newId()
  const [known] = repeatable
    ? await query<{ slug: string }>('select slug from app.route_tenant($1, null, null)', [id])
    : []
  if (!known && input.slug) await requireFreeSlug(query, input.slug, input.slug_field ?? 'slug')
  const slug = known?.slug ?? input.slug ?? (await chooseSlug(query, input.name))
  const [row] = await query<{ made: boolean }>(
    'select app.register_tenant($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) as made',
    [
      id,
      slug,
      input.name,
      input.description ?? '',
      input.plan,
      input.time_zone ?? 'UTC',
      JSON.stringify(input.metadata),
      owner?.id ?? null,
      owner?.email ?? null,
      '',
      maxTenants,
      JSON.stringify(actor),
      repeatable?.hash ?? null,
    ],
  )
  return { id, repeated: row?.made === false }
}
