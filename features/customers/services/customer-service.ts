import { cutPositioned, isCursorMoment, type Page, readCursor } from '@/libs/api-utils/page'
import { containsPattern } from '@/libs/db/like-pattern'
import { tenantDb, tenantQuery } from '@/libs/db/tenant-db'
import { AppError, notFound, nothingNamed } from '@/libs/errors'
import { isUuid, newId } from '@/libs/ids'
import { CUSTOMERS_WITH_TIER, IS_NAMED, TIER_OF_CUSTOMER } from '@/libs/metering/customer-tier'
import type { TierRef } from '@/libs/metering/fields'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { CustomerInput, CustomerListQuery, CustomerPatch } from '../schema'
import { setSubscription } from './subscription-service'

export type CustomerRow = {
  id: string
  external_id: string
  name: string | null
  email: string | null
  metadata: unknown
  tier: TierRef | null
  tier_source: 'subscription' | 'default' | null
  created_at: Date
  updated_at: Date
  archived_at: Date | null
}

/** Columns and tables of a customer; $1 is the tenant, c the customer. */
export const SELECT_CUSTOMERS = `
  select c.id, c.external_id, c.name, c.email, c.metadata,
    ${TIER_OF_CUSTOMER} as tier,
    case when t.id is null then null when s.id is null then 'default' else 'subscription' end as tier_source,
    c.created_at, c.updated_at, c.archived_at
  from ${CUSTOMERS_WITH_TIER}`

/** Customers, the newest first; archived ones only when asked for. @throws AppError not_found for a tier that is not there. */
export async function listCustomers({
  cursor,
  limit,
  q,
  tier,
  archived,
}: CustomerListQuery): Promise<Page<CustomerRow>> {
  const [createdAt, id] = readCursor(cursor, isCursorMoment, isUuid)
  const rows = await tenantQuery<CustomerRow & { position: string }>(
    `${SELECT_CUSTOMERS.replace('c.archived_at\n', 'c.archived_at, c.created_at::text as position\n')}
     where c.tenant_id = $1 and ($2 = 'all' or (c.archived_at is not null) = ($2 = 'true'))
       and ($3::text is null or c.external_id ilike $3 or c.name ilike $3 or c.email ilike $3)
       and ($4::text is null or t.slug = $4 or t.id::text = $4)
       and ($5::timestamptz is null or (c.created_at, c.id) < ($5, $6))
     order by c.created_at desc, c.id desc limit $7`,
    [
      currentContext().tenantId,
      archived,
      q ? containsPattern(q) : null,
      tier?.toLowerCase() ?? null,
      createdAt,
      id,
      limit + 1,
    ],
  )
  if (rows.length === 0 && tier !== undefined) await requireNamedTier(tier)
  return cutPositioned(rows, limit)
}

async function requireNamedTier(ref: string): Promise<void> {
  const [tier] = await tenantQuery('select from tiers where tenant_id = $1 and (slug = $2 or id::text = $2)', [
    currentContext().tenantId,
    ref.toLowerCase(),
  ])
  if (!tier) throw nothingNamed('/tier', 'tier')
}

/** One customer by id or external id; an id comes first. @throws AppError not_found. */
export async function getCustomer(ref: string): Promise<CustomerRow> {
  const [row] = await tenantQuery<CustomerRow>(`${SELECT_CUSTOMERS} ${IS_NAMED}`, [
    currentContext().tenantId,
    ref,
    isUuid(ref) ? ref : null,
  ])
  if (!row) throw notFound()
  return row
}

/** Adds a customer. @throws AppError conflict when the external id is taken, not_found for the tier. */
export async function createCustomer(input: CustomerInput): Promise<CustomerRow> {
  const externalId = input.external_id ?? input.user_id ?? ''
  const row = await tenantDb()
    .insertInto('customers')
    .values({
      id: newId(),
      external_id: externalId,
      name: input.name,
      email: input.email,
      metadata: JSON.stringify(input.metadata),
    })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'external_id']).doNothing())
    .returning('id')
    .executeTakeFirst()
  if (!row) throw await isTaken(externalId)
  if (input.tier !== null) await setSubscription(row.id, { tier: input.tier })
  return getCustomer(row.id)
}

async function isTaken(externalId: string): Promise<AppError> {
  const { archived_at } = await tenantDb()
    .selectFrom('customers')
    .select('archived_at')
    .where('external_id', '=', externalId)
    .executeTakeFirstOrThrow()
  const how = archived_at ? ' but is archived: bring it back with `archived: false`' : ''
  return new AppError('conflict', `A customer with this external id exists already${how}.`)
}

/** Changes a customer, archives it (its usage is refused then) or brings it back. @throws AppError not_found. */
export async function updateCustomer(
  ref: string,
  { archived, metadata, ...fields }: CustomerPatch,
): Promise<CustomerRow> {
  const present = await getCustomer(ref)
  const isArchived = present.archived_at !== null
  await tenantDb()
    .updateTable('customers')
    .set({
      ...fields,
      ...(metadata === undefined ? {} : { metadata: JSON.stringify(metadata) }),
      ...(archived === undefined || archived === isArchived ? {} : { archived_at: archived ? new Date() : null }),
      updated_at: new Date(),
    })
    .where('id', '=', present.id)
    .execute()
  return getCustomer(present.id)
}
