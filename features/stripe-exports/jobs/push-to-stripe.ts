import { serverQuery } from '@/libs/db/server-query'
import type { OutboxSink } from '@/libs/jobs/outbox-worker'
import { log } from '@/libs/log'
import { findTenantRouting, type TenantRouting } from '@/libs/tenancy/resolve-tenant'
import { jobActor, runInTenant } from '@/libs/tenancy/tenant-context'
import { createStripeClient, judgeStripeError, type StripeOutcome } from '../services/stripe-client'
import { STRIPE_TOPIC } from '../services/stripe-export-service'
import {
  acceptAccount,
  type ClaimedExport,
  claimExport,
  cutUsage,
  noteTrouble,
  refuseExport,
  releaseExport,
} from '../services/stripe-push-service'
import {
  claimDeliveries,
  forgetOldDeliveries,
  keepStripeCustomer,
  settleDeliveries,
} from '../services/stripe-queue-service'
import { readAccount, sendDeliveries } from '../services/stripe-send-service'

const PUSHER = jobActor('stripe-exports')
const TENANTS_AT_ONCE = 100
const LANES = 4
const BATCH = 100
/** A visit takes no new batch after this; with the timeouts of one batch it ends well within its lease. */
const VISIT_MS = 20_000
const REST_MS = 15_000

/** Looks at the current account of one tenant, if it is due: tries its key, cuts usage, sends what waits. False: not due. */
export async function visitStripeAccount(tenant: TenantRouting, signal?: AbortSignal): Promise<boolean> {
  const inTenant = <T>(work: () => Promise<T>): Promise<T> => runInTenant(tenant, PUSHER, work)
  const claimed = await inTenant(claimExport)
  if (!claimed) return false
  const { id, secret_key } = claimed
  if (secret_key === null)
    await inTenant(() =>
      noteTrouble(id, 'The key cannot be read here: ENCRYPTION_KEYS lacks the key it was sealed with.', 600_000),
    )
  else if (!claimed.paused) await push(tenant, { ...claimed, secret_key }, signal)
  await inTenant(() => releaseExport(claimed))
  return true
}

async function push(
  tenant: TenantRouting,
  given: ClaimedExport & { secret_key: string },
  signal?: AbortSignal,
): Promise<void> {
  const inTenant = <T>(work: () => Promise<T>): Promise<T> => runInTenant(tenant, PUSHER, work)
  const stripe = createStripeClient(given.secret_key)
  const { id } = given
  const stop = async (outcome: StripeOutcome): Promise<void> => {
    if (outcome.kind === 'refused' || outcome.kind === 'failed')
      await inTenant(() => refuseExport(given, outcome.reason))
    if (outcome.kind === 'later') await inTenant(() => noteTrouble(id, outcome.reason, outcome.wait_ms ?? REST_MS))
  }
  let account_id = given.account_id
  if (given.status === 'checking') {
    try {
      const account = await readAccount(stripe)
      account_id = account.id
      if (!(await inTenant(() => acceptAccount(given, account)))) return
    } catch (error) {
      return stop(judgeStripeError(error))
    }
  }
  const claimed: ClaimedExport = { ...given, status: 'connected', account_id }
  if (claimed.wants_cut) {
    const made = await inTenant(() => cutUsage(id))
    await inTenant(() => forgetOldDeliveries(id))
    log.info({ tenant: tenant.id, deliveries: made }, 'usage cut for Stripe')
  }
  const until = performance.now() + VISIT_MS
  while (performance.now() < until && !signal?.aborted) {
    const deliveries = await inTenant(() => claimDeliveries(claimed, BATCH))
    if (deliveries.length === 0) return
    const end = await sendDeliveries(deliveries, {
      stripe,
      tenant_id: tenant.id,
      keepCustomer: (customerId, stripeId) => inTenant(() => keepStripeCustomer(claimed, customerId, stripeId)),
      settle: (settlements) => inTenant(() => settleDeliveries(id, settlements)),
    })
    if (end) return stop(end)
  }
}

/** Visits every tenant whose account is due, a few at a time, until none is. Gives how many visits there were. */
export async function pushToStripe(signal: AbortSignal): Promise<{ visits: number }> {
  let visits = 0
  while (!signal.aborted) {
    const rows = await serverQuery<{ tenant_id: string }>('select tenant_id from app.tenants_with_stripe_exports($1)', [
      TENANTS_AT_ONCE,
    ])
    const before = visits
    const work = async (): Promise<void> => {
      for (let row = rows.shift(); row && !signal.aborted; row = rows.shift()) {
        try {
          const routing = await findTenantRouting({ id: row.tenant_id })
          if (routing && (await visitStripeAccount(routing, signal))) visits += 1
        } catch (error) {
          log.error({ tenant: row.tenant_id, err: error }, 'push to Stripe failed')
        }
      }
    }
    await Promise.all(Array.from({ length: LANES }, work))
    if (visits === before) break
  }
  return { visits }
}

/** A key that was changed, a push that was asked for: done at once, not with the next minute. */
export const stripeSink: OutboxSink = {
  topic: STRIPE_TOPIC,
  batch: 50,
  ordered: false,
  attempts: 3,
  forget: true,
  lanes: 2,
  deliver: async (_messages, tenant) => {
    await visitStripeAccount(tenant)
    return []
  },
}
