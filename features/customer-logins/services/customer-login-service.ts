import { createHash, randomBytes } from 'node:crypto'
import { TenantAnalytics } from '@/libs/analytics/tenant-analytics'
import { cutPage, type Page, readCursor } from '@/libs/api-utils/page'
import { registryDb, tenantDb, tenantQuery } from '@/libs/db/tenant-db'
import { env } from '@/libs/env'
import { AppError, invalidInput, notFound, nothingNamed } from '@/libs/errors'
import { isUuid, newId } from '@/libs/ids'
import { log } from '@/libs/log'
import { queueMail } from '@/libs/mail/queue-mail'
import { findCustomerId } from '@/libs/metering/find-customers'
import { findPortalOrigin } from '@/libs/tenancy/portal-origin'
import type { TenantRouting } from '@/libs/tenancy/resolve-tenant'
import { type Actor, runInTenant } from '@/libs/tenancy/tenant-context'
import type { CustomerLoginInput, CustomerLoginListQuery } from '../schema'

const COLUMNS = ['id', 'customer_id', 'email', 'created_at', 'expires_at', 'accepted_at'] as const
type Stored = {
  id: string
  customer_id: string
  email: string
  created_at: Date
  expires_at: Date | null
  accepted_at: Date | null
}

/** Who may sign in to the portal as which customer, or was asked to. */
export type CustomerLoginRow = Stored & { status: 'invited' | 'accepted' | 'expired' }

function withStatus(row: Stored): CustomerLoginRow {
  const open = row.expires_at !== null && row.expires_at.getTime() > Date.now()
  return { ...row, status: row.accepted_at ? 'accepted' : open ? 'invited' : 'expired' }
}

const hash = (token: string): Buffer => createHash('sha256').update(token).digest()

/** Invitations of one tenant to one address within an hour: nobody's mailbox is filled from here. */
const MOST_AN_HOUR = 5
/** Invitations of one tenant within a day, to whomever: strangers are not written to in masses in our name. */
const MOST_A_DAY = 500

/** Counts an invitation to an address, if it is made. @throws AppError rate_limited. */
async function countInvitation(tenantId: string, email: string): Promise<void> {
  const [row] = await tenantQuery<{ day: number; hour: number }>(
    `select app.count_auth_attempt('portal_invitations', $1, $2, 86400) as day,
       app.count_auth_attempt('portal_invitation', $3, $4, 3600) as hour`,
    [tenantId, MOST_A_DAY, `${tenantId} ${email}`, MOST_AN_HOUR],
  )
  if (row && row.day > 0)
    throw new AppError('rate_limited', `A tenant sends ${MOST_A_DAY} invitations a day. Send the others later.`, {
      retry_after: row.day,
    })
  if (row && row.hour > 0)
    throw new AppError('rate_limited', `${email} was invited ${MOST_AN_HOUR} times within an hour. Wait a while.`, {
      retry_after: row.hour,
    })
}

/**
 * Invites a person to the portal as a customer: a single-use link goes to the address, valid for INVITATION_EXPIRY_DAYS.
 * Inviting an address again replaces its open invitation. @throws AppError invalid_input for an unknown customer, conflict
 * when the customer is archived, the address can sign in as it already, or the portal has no address, rate_limited.
 */
export async function inviteCustomerLogin(input: CustomerLoginInput, tenant: TenantRouting): Promise<CustomerLoginRow> {
  const customer = await tenantDb()
    .selectFrom('customers')
    .select(['id', 'archived_at'])
    .where('id', '=', input.customer_id)
    .executeTakeFirst()
  if (!customer) throw invalidInput('/customer_id', 'there is no such customer')
  if (customer.archived_at)
    throw new AppError('conflict', 'This customer is archived; bring it back before you invite anybody.')
  const portal = await findPortalOrigin(tenant, tenantQuery)
  if (!portal)
    throw new AppError(
      'conflict',
      'The portal has no address yet: it needs a verified domain before you invite anybody.',
    )
  // One at a time of a customer: two who invite the same person at once leave one invitation.
  await tenantQuery(`select pg_advisory_xact_lock(hashtextextended('logins of ' || $1, 0))`, [customer.id])
  const present = await registryDb()
    .selectFrom('customer_logins')
    .select(['id', 'accepted_at'])
    .where('customer_id', '=', input.customer_id)
    .where('email', '=', input.email)
    .execute()
  if (present.some((row) => row.accepted_at))
    throw new AppError('conflict', 'This person can sign in as this customer already.')
  await countInvitation(tenant.id, input.email)
  for (const { id } of present) await registryDb().deleteFrom('customer_logins').where('id', '=', id).execute()
  const token = randomBytes(32).toString('base64url')
  const days = env().INVITATION_EXPIRY_DAYS
  const row = await registryDb()
    .insertInto('customer_logins')
    .values({ id: newId(), ...input, token_hash: hash(token), expires_at: new Date(Date.now() + days * 86_400_000) })
    .returning(COLUMNS)
    .executeTakeFirstOrThrow()
  await queueMail({
    to: input.email,
    template: 'portal-invitation',
    data: { url: `${portal}/join?token=${token}`, tenant_name: tenant.name, days },
  })
  return withStatus(row)
}

/** Portal logins and open invitations, newest first, of one customer or all. @throws AppError not_found for an unknown customer. */
export async function listCustomerLogins({
  cursor,
  limit,
  customer_id,
}: CustomerLoginListQuery): Promise<Page<CustomerLoginRow>> {
  let query = registryDb()
    .selectFrom('customer_logins')
    .select(COLUMNS)
    .orderBy('id', 'desc')
    .limit(limit + 1)
  if (customer_id) query = query.where('customer_id', '=', customer_id)
  const [before] = readCursor(cursor, isUuid)
  if (before !== null) query = query.where('id', '<', before)
  const rows = await query.execute()
  if (rows.length === 0 && customer_id && !(await findCustomerId(customer_id)))
    throw nothingNamed('/customer_id', 'customer')
  return cutPage(rows.map(withStatus), limit, (row) => [row.id])
}

/** Ends a login or an open invitation, from the next request on. @throws AppError not_found. */
export async function removeCustomerLogin(id: string): Promise<void> {
  const gone = isUuid(id)
    ? await registryDb().deleteFrom('customer_logins').where('id', '=', id).returning('id').executeTakeFirst()
    : undefined
  if (!gone) throw notFound()
}

/**
 * Binds the invitation with this token to the signed-in user, whose address must be the invited one.
 * @throws AppError not_found for every reason it cannot be: unknown, used, expired, another address, another tenant;
 * tenant_suspended or tenant_read_only while the portal takes nothing.
 */
export async function acceptCustomerLogin(
  token: string,
  tenant: TenantRouting,
  user: { id: string; email: string },
  actor: Actor,
): Promise<{ customer_id: string }> {
  const customer: Actor = { ...actor, kind: 'customer', permissions: ['portal:write'] }
  const customerId = await runInTenant(tenant, customer, async () => {
    const [row] = await tenantQuery<{ customer_id: string | null }>(
      'select app.accept_customer_login($1, $2, $3, $4, $5) as customer_id',
      [tenant.id, hash(token), user.id, user.email, JSON.stringify({ ...actor, kind: 'customer' })],
    )
    return row?.customer_id
  })
  if (!customerId) throw notFound()
  await runInTenant(tenant, { ...actor, kind: 'customer', customer_id: customerId }, () =>
    TenantAnalytics.trackSignUp(user.id, 'invitation'),
  ).catch((error: unknown) => log.warn({ error: String(error) }, 'accepted invitation not counted'))
  return { customer_id: customerId }
}
