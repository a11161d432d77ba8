import { type AppError, invalidInput } from '@/libs/errors'
import type { CheckCode } from '@/libs/metering/fields'
import type { RateLimit } from '@/libs/rate-limit/memory-store'
import { type Taken, takeLimits } from '@/libs/rate-limit/take-limits'
import { requireAwakeTenant } from '@/libs/tenancy/awake-tenant'
import type { KeyLimit, VerifyInput } from '../schema'
import { spendCredits, touchKey } from './credit-spender'
import { findKey, type VerifiableKey } from './key-cache'
import { holdsPermissions, readPermissionQuery } from './permission-query'

export type LimitState = {
  name: string
  limit: number
  remaining: number
  reset: number
  duration_ms: number
  exceeded: boolean
  auto_apply: boolean
}
export type Verification = {
  valid: boolean
  code: CheckCode
  id?: string
  name?: string
  external_id?: string | null
  customer_id?: string | null
  meta?: Record<string, unknown>
  permissions?: string[]
  roles?: string[]
  enabled?: boolean
  expires_at?: string | null
  remaining?: number | null
  ratelimits?: LimitState[]
}

/**
 * Whether a key of the current tenant's customers is good for a call, and takes what the call costs: permissions first,
 * then rate limits (all or nothing), then credits, exactly. What fails takes nothing of what comes after it. Outside of
 * a transaction. @throws AppError invalid_input for a permission query that cannot be read, or for a limit that the key
 * does not have and the call does not define.
 */
export async function verifyCustomerKey(input: VerifyInput): Promise<Verification> {
  await requireAwakeTenant()
  const query = input.permissions === undefined ? null : readPermissionQuery(input.permissions)
  const found = findKey(input.key)
  const entry = found instanceof Promise ? await found : found
  if (!entry || entry.key.revoked) return { valid: false, code: 'NOT_FOUND' }
  const { key, held } = entry
  touchKey(key.id)
  const refusal = refuse(key)
  if (refusal) return describe(key, refusal)
  if (query && !holdsPermissions(held, query)) return describe(key, 'INSUFFICIENT_PERMISSIONS')
  const limits =
    key.ratelimits.length > 0 || input.ratelimits.length > 0 ? await takeKeyLimits(key, input.ratelimits) : []
  if (limits.some(({ exceeded }) => exceeded)) return { ...describe(key, 'RATE_LIMITED'), ratelimits: limits }
  const answer = describe(key, 'VALID')
  if (limits.length > 0) answer.ratelimits = limits
  if (!key.limited) return answer
  const { spent, remaining } = await spendCredits(key.id, input.credits?.cost ?? 1)
  answer.remaining = remaining
  if (spent) return answer
  return { ...answer, valid: false, code: 'USAGE_EXCEEDED' }
}

function refuse(key: VerifiableKey): 'DISABLED' | 'EXPIRED' | 'FORBIDDEN' | null {
  if (!key.enabled) return 'DISABLED'
  if (key.expires_ms !== null && key.expires_ms <= Date.now()) return 'EXPIRED'
  return key.customer_archived ? 'FORBIDDEN' : null
}

function describe(key: VerifiableKey, code: Verification['code']): Verification {
  return {
    valid: code === 'VALID',
    code,
    id: key.id,
    name: key.name,
    external_id: key.external_id,
    customer_id: key.customer_id,
    meta: key.meta,
    permissions: key.permissions,
    roles: key.roles,
    enabled: key.enabled,
    expires_at: key.expires_ms === null ? null : new Date(key.expires_ms).toISOString(),
    ...(key.limited ? {} : { remaining: null }),
  }
}

/** The limits a call is held against: those of the key that always apply, and those the call names. */
async function takeKeyLimits(key: VerifiableKey, asked: VerifyInput['ratelimits']): Promise<LimitState[]> {
  const own = new Map(key.ratelimits.map((limit) => [limit.name, limit]))
  const chosen: (KeyLimit & { cost: number })[] = key.ratelimits
    .filter(({ auto_apply, name }) => auto_apply && !asked.some((limit) => limit.name === name))
    .map((limit) => ({ ...limit, cost: 1 }))
  for (const [index, { name, cost, limit, duration_ms }] of asked.entries()) {
    const known = own.get(name)
    const most = limit ?? known?.limit
    const span = duration_ms ?? known?.duration_ms
    if (most === undefined || span === undefined) throw unknownLimit(index, name)
    chosen.push({ name, limit: most, duration_ms: span, auto_apply: known?.auto_apply ?? false, cost })
  }
  if (chosen.length === 0) return []
  const taken = await takeLimits(
    chosen.map(
      ({ name, limit, duration_ms, cost }): RateLimit => ({
        namespace: name,
        identifier: own.has(name) || !key.external_id ? key.account_id : key.external_id,
        limit,
        duration_ms,
        cost,
      }),
    ),
  )
  return taken.map((verdict, index) => toState(verdict, chosen[index]?.name ?? '', chosen[index]?.auto_apply ?? false))
}

function unknownLimit(index: number, name: string): AppError {
  return invalidInput(`/ratelimits/${index}`, `${name} is no limit of this key: say limit and duration`)
}

function toState(verdict: Taken, name: string, auto_apply: boolean): LimitState {
  const { limit, remaining, reset, duration_ms, passed } = verdict
  return { name, limit, remaining, reset, duration_ms, exceeded: !passed, auto_apply }
}
