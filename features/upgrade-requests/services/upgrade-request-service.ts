import { cutPage, type Page, readCursor } from '@/libs/api-utils/page'
import { tenantQuery } from '@/libs/db/tenant-db'
import { AppError, notFound } from '@/libs/errors'
import { isUuid, newId } from '@/libs/ids'
import { resolveCustomerFilter } from '@/libs/metering/find-customers'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { UpgradeRequestInput, UpgradeRequestListQuery } from '../schema'

export type UpgradeRequestRow = {
  id: string
  customer: { id: string; external_id: string; name: string | null }
  tier: { id: string; slug: string; name: string }
  status: 'open' | 'accepted' | 'declined' | 'withdrawn'
  requested_by: string | null
  note: string | null
  created_at: Date
  decided_at: Date | null
}

const SELECT = `
  select r.id, jsonb_build_object('id', c.id, 'external_id', c.external_id, 'name', c.name) as customer,
    jsonb_build_object('id', t.id, 'slug', t.slug, 'name', t.name) as tier, r.status, r.requested_by, r.note, r.created_at, r.decided_at
  from upgrade_requests r
  join customers c on c.tenant_id = $1 and c.id = r.customer_id
  join tiers t on t.tenant_id = $1 and t.id = r.tier_id
  where r.tenant_id = $1`

/**
 * What customers asked for, the newest first. A customer sees its own.
 * @throws AppError bad_request for a cursor that is not ours, not_found for a filter.
 */
export async function listUpgradeRequests(query: UpgradeRequestListQuery): Promise<Page<UpgradeRequestRow>> {
  const { cursor, limit, status, customer } = query
  const [before] = readCursor(cursor, isUuid)
  const rows = await tenantQuery<UpgradeRequestRow>(
    `${SELECT} and ($2::text is null or r.status = $2) and ($3::uuid is null or r.customer_id = $3) and ($4::uuid is null or r.id < $4)
     order by r.id desc limit $5`,
    [currentContext().tenantId, status ?? null, await resolveCustomerFilter(customer), before ?? null, limit + 1],
  )
  return cutPage(rows, limit, (row) => [row.id])
}

/** One request. @throws AppError not_found. */
export async function getUpgradeRequest(id: string): Promise<UpgradeRequestRow> {
  const [row] = isUuid(id)
    ? await tenantQuery<UpgradeRequestRow>(`${SELECT} and r.id = $2`, [currentContext().tenantId, id])
    : []
  if (!row) throw notFound()
  return row
}

/** The open request of the customer who is signed in. */
export async function findOpenRequest(): Promise<UpgradeRequestRow | null> {
  const { tenantId, actor } = currentContext()
  const [row] = await tenantQuery<UpgradeRequestRow>(`${SELECT} and r.customer_id = $2 and r.status = 'open'`, [
    tenantId,
    actor.customer_id ?? null,
  ])
  return row ?? null
}

/** The last request of the customer who is signed in, whatever became of it. */
export async function findLastRequest(): Promise<UpgradeRequestRow | null> {
  const { tenantId, actor } = currentContext()
  const [row] = await tenantQuery<UpgradeRequestRow>(`${SELECT} and r.customer_id = $2 order by r.id desc limit 1`, [
    tenantId,
    actor.customer_id ?? null,
  ])
  return row ?? null
}

/** Wishes of one customer in a day: each is a mail to every admin of the tenant. */
const MOST_A_DAY = 10

/** @throws AppError rate_limited where the customer has asked for so much lately that nobody would read more. */
async function requirePatience(customerId: string): Promise<void> {
  const [last] = await tenantQuery<{ wait: number }>(
    `select greatest(ceil(extract(epoch from created_at + interval '1 day' - now())), 1)::integer as wait from upgrade_requests
     where tenant_id = $1 and customer_id = $2 and created_at > now() - interval '1 day' order by created_at desc offset $3 limit 1`,
    [currentContext().tenantId, customerId, MOST_A_DAY - 1],
  )
  if (last)
    throw new AppError('rate_limited', `You asked for a tier ${MOST_A_DAY} times within a day. Wait a while.`, {
      retry_after: last.wait,
    })
}

/**
 * Notes that the customer who is signed in wants a tier; an open wish for another one is withdrawn, for the same it stays. With
 * `accepted` the tier was taken already. The tenant's admins hear of it by mail, its connectors by `upgrade.requested`.
 * @throws AppError not_found when the actor is no customer, rate_limited.
 */
export async function requestUpgrade(
  tierId: string,
  { note }: Pick<UpgradeRequestInput, 'note'>,
  status: 'open' | 'accepted',
): Promise<UpgradeRequestRow> {
  const { tenantId, actor } = currentContext()
  const customerId = actor.customer_id
  if (!customerId) throw notFound()
  const open = await findOpenRequest()
  if (open && status === 'open' && open.tier.id === tierId) return open
  await requirePatience(customerId)
  if (open) await closeRequest(open.id, status === 'accepted' && open.tier.id === tierId ? 'accepted' : 'withdrawn')
  const id = newId()
  await tenantQuery(
    `insert into upgrade_requests (tenant_id, id, customer_id, tier_id, status, requested_by, note, decided_at)
     values ($1, $2, $3, $4, $5, $6, $7, case when $5 = 'accepted' then now() end)`,
    [tenantId, id, customerId, tierId, status, actor.label ?? null, note],
  )
  await announce(id, 'upgrade.requested')
  return getUpgradeRequest(id)
}

/** Takes back a wish of the customer who is signed in. @throws AppError not_found; conflict when it is decided. */
export async function withdrawRequest(id: string): Promise<UpgradeRequestRow> {
  const request = await getUpgradeRequest(id)
  if (request.status === 'withdrawn') return request
  requireOpen(request)
  await decide(id, 'withdrawn')
  return getUpgradeRequest(id)
}

/** Gives a customer a tier from now on. Subscriptions are of another noun, so whoever calls brings it along. */
export type GiveTier = (customerId: string, tierId: string) => Promise<unknown>

/**
 * Decides a wish; who accepts it gives the tier. A request that was accepted before gave its tier then: the customer may have
 * another one by now. The customer hears of it by mail.
 * @throws AppError not_found; conflict when it is decided otherwise, or its tier was archived.
 */
export async function decideRequest(
  id: string,
  status: 'accepted' | 'declined',
  giveTier: GiveTier,
): Promise<UpgradeRequestRow> {
  const request = await getUpgradeRequest(id)
  if (request.status === status) return request
  requireOpen(request)
  if (status === 'accepted') await requireOffered(request)
  if (await decide(id, status)) {
    await announce(id, 'upgrade.decided')
    if (status === 'accepted') await giveTier(request.customer.id, request.tier.id)
  }
  return getUpgradeRequest(id)
}

async function requireOffered({ tier }: UpgradeRequestRow): Promise<void> {
  const [archived] = await tenantQuery(
    'select from tiers where tenant_id = $1 and id = $2 and archived_at is not null',
    [currentContext().tenantId, tier.id],
  )
  if (archived)
    throw new AppError('conflict', `${tier.name} was archived since it was asked for: bring it back, or decline.`)
}

function requireOpen({ status }: UpgradeRequestRow): void {
  if (status !== 'open') throw new AppError('conflict', `This request is ${status} already.`, { extra: { status } })
}

/** Whether it was decided now; false when somebody decided the same since it was read. @throws AppError conflict when otherwise. */
async function decide(id: string, status: UpgradeRequestRow['status']): Promise<boolean> {
  if (await closeRequest(id, status)) return true
  if ((await getUpgradeRequest(id)).status === status) return false
  throw new AppError('conflict', 'Somebody else decided this at the same moment.')
}

async function closeRequest(id: string, status: UpgradeRequestRow['status']): Promise<boolean> {
  const closed = await tenantQuery(
    `update upgrade_requests set status = $3, decided_at = now() where tenant_id = $1 and id = $2 and status = 'open' returning id`,
    [currentContext().tenantId, id, status],
  )
  return closed.length > 0
}

async function announce(id: string, event: 'upgrade.requested' | 'upgrade.decided'): Promise<void> {
  const { tenantId } = currentContext()
  const request = await getUpgradeRequest(id)
  const { customer, tier, status } = request
  await tenantQuery('insert into outbox (tenant_id, id, topic, payload) values ($1, $2, $3, $4), ($1, $5, $6, $7)', [
    tenantId,
    newId(),
    event,
    JSON.stringify({
      request_id: id,
      customer_id: customer.id,
      user_id: customer.external_id,
      tier: tier.slug,
      status,
    }),
    newId(),
    'upgrades',
    JSON.stringify({ request_id: id }),
  ])
}
