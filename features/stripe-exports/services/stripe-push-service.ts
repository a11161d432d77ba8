import { openSecret, sealSecret } from '@/libs/crypto/tenant-secrets'
import { tenantQuery } from '@/libs/db/tenant-db'
import { log } from '@/libs/log'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { secretPlace } from './stripe-export-service'

/** A connection in the hands of the worker. */
export type ClaimedExport = {
  id: string
  status: 'checking' | 'connected'
  mode: 'test' | 'live'
  account_id: string | null
  /** Null when no key of this process opens it. */
  secret_key: string | null
  /** What is to be found in `due_at` when nobody asked for anything meanwhile; exact text. */
  lease: string
  paused: boolean
  wants_cut: boolean
}

/** Longer than any visit may take. */
export const LEASE_SECONDS = 120

/**
 * Takes the current tenant's connection when it is due, so that one worker looks at a time; null when there is nothing to do.
 */
export async function claimExport(): Promise<ClaimedExport | null> {
  const { tenantId } = currentContext()
  const [row] = await tenantQuery<Omit<ClaimedExport, 'secret_key'> & { secret: string }>(
    `update stripe_exports x set due_at = now() + make_interval(secs => $2)
     where x.tenant_id = $1 and x.due_at <= now() and (x.status = 'checking' or x.status = 'connected' and x.enabled)
     returning x.id, x.status, x.mode, x.account_id, x.secret, x.due_at::text as lease, coalesce(x.paused_until > now(), false) as paused,
       x.cut_asked or exists (
         select 1 from stripe_meters s where s.tenant_id = $1 and s.stripe_export_id = x.id and s.enabled
           and s.cut_at < date_trunc('hour', now(), 'UTC')) as wants_cut`,
    [tenantId, LEASE_SECONDS],
  )
  if (!row) return null
  const { secret: sealed, ...rest } = row
  const place = secretPlace(tenantId, row.id)
  let secret: string
  let stale: boolean
  try {
    ;({ secret, stale } = await openSecret(sealed, place))
  } catch (error) {
    log.error({ tenant: tenantId, err: error }, 'key of Stripe cannot be read')
    return { ...rest, secret_key: null }
  }
  // Sealed in the manner of before: sealed anew in passing.
  if (stale)
    await tenantQuery('update stripe_exports set secret = $3 where tenant_id = $1 and id = $2 and secret = $4', [
      tenantId,
      row.id,
      await sealSecret(secret, place),
      sealed,
    ])
  return { ...rest, secret_key: secret }
}

/** Says when to look again: at the next hour, or when a delivery is due, unless somebody asked meanwhile. */
export async function releaseExport({ id, lease }: ClaimedExport): Promise<void> {
  await tenantQuery(
    `update stripe_exports x set due_at = greatest(x.paused_until, least(
         date_trunc('hour', now(), 'UTC') + interval '1 hour 10 seconds',
         (select min(d.next_attempt_at) from stripe_deliveries d
          where d.tenant_id = $1 and d.stripe_export_id = $2 and d.status = 'pending')))
     where x.tenant_id = $1 and x.id = $2 and x.due_at = $3::timestamptz`,
    [currentContext().tenantId, id, lease],
  )
}

/** Notes that the key works and whose it is; false when it belongs to another account than before. */
export async function acceptAccount(
  claimed: ClaimedExport,
  account: { id: string; name: string | null },
): Promise<boolean> {
  if (claimed.account_id !== null && claimed.account_id !== account.id) {
    await refuseExport(
      claimed,
      `The key belongs to the account ${account.id}, not to ${claimed.account_id}. Disconnect that one first.`,
    )
    return false
  }
  await tenantQuery(
    `update stripe_exports set status = 'connected', account_id = $3, account_name = $4, last_error = null, checked_at = now()
     where tenant_id = $1 and id = $2 and status = 'checking' and due_at = $5::timestamptz`,
    [currentContext().tenantId, claimed.id, account.id, account.name?.slice(0, 500) ?? null, claimed.lease],
  )
  return true
}

/** Stripe does not take the key: nothing is sent until it is replaced. A key that was replaced meanwhile stays. */
export async function refuseExport({ id, lease }: ClaimedExport, reason: string): Promise<void> {
  await tenantQuery(
    `update stripe_exports set status = 'refused', last_error = $3, checked_at = now()
     where tenant_id = $1 and id = $2 and status in ('checking', 'connected') and due_at = $4::timestamptz`,
    [currentContext().tenantId, id, reason.slice(0, 1_000), lease],
  )
}

/** Notes why nothing goes at the moment, and until when to wait; null: it goes again. */
export async function noteTrouble(id: string, reason: string | null, waitMs: number | null): Promise<void> {
  await tenantQuery(
    `update stripe_exports set last_error = $3, paused_until = now() + make_interval(secs => $4)
     where tenant_id = $1 and id = $2 and status in ('checking', 'connected') and (last_error is not null or $3::text is not null)`,
    [currentContext().tenantId, id, reason?.slice(0, 1_000) ?? null, waitMs === null ? null : waitMs / 1_000],
  )
}

/** Writes down what came in since the last cut. Gives how many deliveries it made. */
export async function cutUsage(exportId: string): Promise<number> {
  await tenantQuery("set local statement_timeout = '5min'")
  const { tenantId } = currentContext()
  const [row] = await tenantQuery<{ made: number }>('select app.cut_stripe_usage($1, $2) as made', [tenantId, exportId])
  return row?.made ?? 0
}
