import Stripe from 'stripe'
import { env } from '@/libs/env'
import { describeError } from '@/libs/errors'

export type StripeClient = InstanceType<typeof Stripe>

/** What became of a call. */
export type StripeOutcome =
  | { kind: 'done' }
  /** Stripe holds the event of this identifier already. */
  | { kind: 'repeated' }
  /** The key itself is of no use: nothing goes until it is replaced. */
  | { kind: 'refused'; reason: string }
  /** No use in trying again. */
  | { kind: 'failed'; reason: string }
  /** To be tried again; `certain` when Stripe said that nothing was done. `wait_ms` is what Stripe asks for. */
  | { kind: 'later'; reason: string; certain: boolean; answered: boolean; wait_ms: number | null }

const TIMEOUT_MS = 15_000
const LONGEST_WAIT_MS = 3_600_000

/** A client for one account. Repeats are ours, because they must outlive the process. */
export function createStripeClient(secretKey: string): StripeClient {
  const { protocol, hostname, port } = new URL(env().STRIPE_API_BASE)
  return new Stripe(secretKey, {
    protocol: protocol === 'http:' ? 'http' : 'https',
    host: hostname,
    ...(port ? { port: Number(port) } : {}),
    maxNetworkRetries: 0,
    timeout: TIMEOUT_MS,
    telemetry: false,
    appInfo: { name: 'Holdfast' },
  })
}

/** How long an answer asks to wait: `Retry-After` in seconds or as a date. */
function readRetryAfter(header: string | undefined): number | null {
  if (!header) return null
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now()
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 1_000), LONGEST_WAIT_MS) : null
}

/** Reads what an error of the client means for the delivery and for the account. */
export function judgeStripeError(error: unknown): StripeOutcome {
  if (!(error instanceof Stripe.errors.StripeError))
    return {
      kind: 'later',
      reason: describeError(error),
      certain: false,
      answered: false,
      wait_ms: null,
    }
  const { statusCode: status, message } = error
  const reason = (status ? `${status}: ${message}` : message).slice(0, 1_000)
  const wait_ms = readRetryAfter(error.headers?.['retry-after'])
  if (status === 401 || status === 403) return { kind: 'refused', reason }
  if (status === 429) return { kind: 'later', reason, certain: true, answered: true, wait_ms: wait_ms ?? 10_000 }
  // The repeat is another request, to a customer linked meanwhile: under a key of its own Stripe tells by the identifier.
  if (error instanceof Stripe.errors.StripeIdempotencyError)
    return { kind: 'later', reason, certain: false, answered: true, wait_ms }
  if (status === 409) return { kind: 'later', reason, certain: false, answered: false, wait_ms }
  if (status === undefined || status >= 500)
    return { kind: 'later', reason, certain: false, answered: status !== undefined, wait_ms }
  if (status === 400 && /already exists with identifier/i.test(message)) return { kind: 'repeated' }
  return { kind: 'failed', reason }
}
