import { createHash } from 'node:crypto'
import { judgeStripeError, type StripeClient, type StripeOutcome } from './stripe-client'
import type { ClaimedDelivery, Settlement } from './stripe-queue-service'

const HOUR_S = 3_600
/** Stripe takes nothing that is older than 35 days. */
const OLDEST_S = 35 * 24 * HOUR_S - HOUR_S
/** Customers worked on at once. Of one customer and meter Stripe takes one call at a time. */
const LANES = 8

export type SendOptions = {
  stripe: StripeClient
  tenant_id: string
  /** Remembers a customer that was made at Stripe and gives the one to use. */
  keepCustomer: (customerId: string, stripeId: string) => Promise<string>
  /** Writes down what became of the deliveries of one customer. */
  settle: (settlements: readonly Settlement[]) => Promise<void>
}

/** Whose key, and account of this key. @throws StripeError */
export async function readAccount(stripe: StripeClient): Promise<{ id: string; name: string | null }> {
  const account = await stripe.accounts.retrieveCurrent()
  return {
    id: account.id,
    name: account.settings?.dashboard?.display_name || account.business_profile?.name || account.email || null,
  }
}

async function createCustomer(delivery: ClaimedDelivery, { stripe, tenant_id }: SendOptions): Promise<string> {
  const { customer_id, external_id, name, email, answers } = delivery
  const customer = {
    name: name ?? external_id,
    ...(email ? { email } : {}),
    metadata: { holdfast_customer: customer_id, external_id },
  }
  // Other values need another key, and so does a try after an answer: Stripe would repeat that answer.
  const print = createHash('sha256')
    .update(JSON.stringify([customer, answers]))
    .digest('hex')
    .slice(0, 16)
  const { id } = await stripe.customers.create(customer, {
    idempotencyKey: `holdfast-${tenant_id}-${customer_id}-${print}`,
  })
  return id
}

async function sendDelivery(delivery: ClaimedDelivery, stripeId: string, stripe: StripeClient): Promise<StripeOutcome> {
  const { event_name, amount, identifier, happened_at, answers } = delivery
  const told = Math.floor(happened_at.getTime() / 1_000)
  const timestamp = Math.max(told, Math.floor(Date.now() / 1_000) - OLDEST_S)
  try {
    await stripe.billing.meterEvents.create(
      { event_name, identifier, timestamp, payload: { stripe_customer_id: stripeId, value: amount } },
      { idempotencyKey: [identifier, answers || '', timestamp === told ? '' : timestamp].filter(Boolean).join('-') },
    )
    return { kind: 'done' }
  } catch (error) {
    return judgeStripeError(error)
  }
}

const endsVisit = ({ kind }: StripeOutcome): boolean => kind === 'later' || kind === 'refused'

/**
 * Sends deliveries, those of one customer one after the other, several customers at once, making each customer at Stripe
 * before its first. The first answer that means "not now" ends it; what was not sent is settled as untouched. Gives that answer.
 */
export async function sendDeliveries(
  deliveries: readonly ClaimedDelivery[],
  options: SendOptions,
): Promise<StripeOutcome | null> {
  const groups = [...Map.groupBy(deliveries, ({ customer_id }) => customer_id).values()]
  let end: StripeOutcome | null = null

  const sendGroup = async (group: readonly ClaimedDelivery[]): Promise<void> => {
    const settlements: Settlement[] = []
    const [first] = group
    let stripeId = first?.stripe_customer_id ?? null
    let trouble: StripeOutcome | null = null
    if (first && !stripeId && !end) {
      try {
        const made = await createCustomer(first, options)
        stripeId = await options.keepCustomer(first.customer_id, made)
      } catch (error) {
        trouble = judgeStripeError(error)
        if (endsVisit(trouble)) end ??= trouble
      }
    }
    for (const delivery of group) {
      if (trouble) {
        // No usage went out, so there is no doubt about it.
        settlements.push({ delivery, outcome: trouble.kind === 'later' ? { ...trouble, certain: true } : trouble })
      } else if (end || !stripeId) settlements.push({ delivery, outcome: { kind: 'untouched' } })
      else {
        const outcome = await sendDelivery(delivery, stripeId, options.stripe)
        if (endsVisit(outcome)) end ??= outcome
        settlements.push({ delivery, outcome })
      }
    }
    await options.settle(settlements)
  }

  const work = async (): Promise<void> => {
    for (let group = groups.shift(); group; group = groups.shift()) await sendGroup(group)
  }
  const lanes = await Promise.allSettled(Array.from({ length: LANES }, work))
  for (const lane of lanes) if (lane.status === 'rejected') throw lane.reason
  return end
}
