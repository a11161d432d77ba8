import { tenantQuery } from '@/libs/db/tenant-db'
import { backoffMs } from '@/libs/jobs/outbox-worker'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { StripeOutcome } from './stripe-client'
import { type ClaimedExport, LEASE_SECONDS } from './stripe-push-service'

/** A delivery in the hands of the worker. */
export type ClaimedDelivery = {
  id: string
  customer_id: string
  external_id: string
  name: string | null
  email: string | null
  event_name: string
  amount: string
  identifier: string
  happened_at: Date
  attempts: number
  answers: number
  stripe_customer_id: string | null
  /** Before this attempt. */
  uncertain_since: Date | null
}

/** Stripe recognises a repeat for 24 hours; after this nobody knows whether a lost attempt counted. */
const KNOWN_HOURS = 23

/**
 * Takes deliveries that are due, oldest first, for the length of a lease. Committed before anything is sent: an attempt that is
 * never heard of again is known as one.
 */
export async function claimDeliveries(
  { id, account_id, mode }: ClaimedExport,
  limit: number,
): Promise<ClaimedDelivery[]> {
  const { tenantId } = currentContext()
  // A lost attempt that Stripe may no longer recognise is for a person to decide.
  await tenantQuery(
    `update stripe_deliveries set status = 'failed', last_error = left('No answer for ${KNOWN_HOURS} hours, so Stripe may count a repeat twice. '
         || 'Look for the identifier there, then send it again or give it up. Last: ' || coalesce(last_error, 'unknown'), 1000)
     where tenant_id = $1 and stripe_export_id = $2 and status = 'pending' and next_attempt_at <= now()
       and uncertain_since < now() - interval '${KNOWN_HOURS} hours'`,
    [tenantId, id],
  )
  const rows = await tenantQuery<ClaimedDelivery>(
    `with due as materialized (
       select d.id, d.uncertain_since from stripe_deliveries d
       where d.tenant_id = $1 and d.stripe_export_id = $2 and d.status = 'pending' and d.next_attempt_at <= now()
       order by d.next_attempt_at, d.id limit $5 for update skip locked
     ),
     taken as (
       update stripe_deliveries d set attempts = d.attempts + 1, next_attempt_at = now() + make_interval(secs => $6),
         uncertain_since = coalesce(d.uncertain_since, now())
       from due where d.tenant_id = $1 and d.id = due.id
       returning d.id, d.customer_id, d.event_name, d.amount::text as amount, d.identifier, d.happened_at, d.attempts, d.answers, due.uncertain_since
     )
     select t.*, c.external_id, c.name, c.email, s.stripe_customer_id
     from taken t
     join customers c on c.tenant_id = $1 and c.id = t.customer_id
     left join stripe_customers s on s.tenant_id = $1 and s.account_id = $3 and s.mode = $4 and s.customer_id = t.customer_id
     order by t.id`,
    [tenantId, id, account_id, mode, limit, LEASE_SECONDS],
  )
  return rows
}

/** Remembers the customer the worker made at Stripe. Gives the one to use: a link that was made meanwhile wins. */
export async function keepStripeCustomer(
  claimed: ClaimedExport,
  customerId: string,
  stripeId: string,
): Promise<string> {
  const [row] = await tenantQuery<{ stripe_customer_id: string }>(
    `insert into stripe_customers (tenant_id, account_id, mode, customer_id, stripe_customer_id) values ($1, $2, $3, $4, $5)
     on conflict (tenant_id, account_id, mode, customer_id) do update set updated_at = now() returning stripe_customer_id`,
    [currentContext().tenantId, claimed.account_id, claimed.mode, customerId, stripeId],
  )
  return row?.stripe_customer_id ?? stripeId
}

/** What is to be written for a delivery; `untouched` was taken and never sent. */
export type Settlement = { delivery: ClaimedDelivery; outcome: StripeOutcome | { kind: 'untouched' } }

/** Writes down what became of deliveries, each under the attempt it was taken for. */
export async function settleDeliveries(exportId: string, settlements: readonly Settlement[]): Promise<void> {
  if (settlements.length === 0) return
  const rows = settlements.map(({ delivery, outcome }) => {
    const { id, attempts, uncertain_since } = delivery
    const sent = outcome.kind === 'done' || outcome.kind === 'repeated'
    const again = outcome.kind === 'later'
    const certain = outcome.kind === 'failed' || (again && outcome.certain)
    return {
      id,
      attempts,
      status: sent ? 'sent' : outcome.kind === 'failed' ? 'failed' : 'pending',
      error: 'reason' in outcome ? outcome.reason : null,
      // An attempt that Stripe turned down leaves the doubt about an earlier one.
      doubt: certain || outcome.kind === 'refused' || outcome.kind === 'untouched' ? uncertain_since : undefined,
      wait: again ? Math.max(outcome.wait_ms ?? 0, backoffMs(attempts)) / 1_000 : 0,
      answered: outcome.kind === 'failed' || (again && outcome.answered),
      undo: outcome.kind === 'untouched' || outcome.kind === 'refused',
    }
  })
  await tenantQuery(
    `update stripe_deliveries d set status = h.status, last_error = case when h.undo then d.last_error else h.error end,
       attempts = d.attempts - h.undo::int, answers = d.answers + h.answered::int, next_attempt_at = now() + make_interval(secs => h.wait),
       uncertain_since = case when h.status = 'sent' then null when h.settled then h.doubt else d.uncertain_since end,
       sent_at = case when h.status = 'sent' then now() end
     from unnest($2::uuid[], $3::int[], $4::text[], $5::text[], $6::timestamptz[], $7::boolean[], $8::float8[], $9::boolean[], $10::boolean[])
       as h (id, attempts, status, error, doubt, settled, wait, undo, answered)
     where d.tenant_id = $1 and d.id = h.id and d.attempts = h.attempts and d.status = 'pending'`,
    [
      currentContext().tenantId,
      rows.map(({ id }) => id),
      rows.map(({ attempts }) => attempts),
      rows.map(({ status }) => status),
      rows.map(({ error }) => error?.replaceAll('\0', '') ?? null),
      rows.map(({ doubt }) => doubt ?? null),
      rows.map(({ doubt }) => doubt !== undefined),
      rows.map(({ wait }) => wait),
      rows.map(({ undo }) => undo),
      rows.map(({ answered }) => answered),
    ],
  )
  if (rows.some(({ status }) => status === 'sent'))
    await tenantQuery(
      'update stripe_exports set pushed_at = now(), last_error = null, paused_until = null where tenant_id = $1 and id = $2',
      [currentContext().tenantId, exportId],
    )
}

/** Forgets what was sent more than 90 days ago, a part at a time. */
export async function forgetOldDeliveries(exportId: string): Promise<void> {
  await tenantQuery(
    `delete from stripe_deliveries d where d.tenant_id = $1 and d.id in (
       select x.id from stripe_deliveries x
       where x.tenant_id = $1 and x.stripe_export_id = $2 and x.status in ('sent', 'skipped') and x.created_at < now() - interval '90 days'
       order by x.id limit 5000)`,
    [currentContext().tenantId, exportId],
  )
}
