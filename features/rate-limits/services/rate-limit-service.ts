import { limitHeaders, type NamedVerdict } from '@/libs/rate-limit/limit-headers'
import { takeLimits } from '@/libs/rate-limit/take-limits'
import { requireAwakeTenant } from '@/libs/tenancy/awake-tenant'
import type { RateLimitCall } from '../schema'

export type LimitResult = {
  success: boolean
  limit: number
  remaining: number
  reset: number
  override_id: string | null
}

/**
 * Holds a call of the current tenant against limits, all or nothing: `success` of the whole is that of every one. With
 * the headers that tell of them. Outside of a transaction. @throws AppError tenant_suspended.
 */
export async function callLimits(
  calls: readonly RateLimitCall[],
): Promise<{ success: boolean; limits: LimitResult[]; headers: Record<string, string> }> {
  await requireAwakeTenant()
  const taken = await takeLimits(calls.map(({ duration, ...call }) => ({ ...call, duration_ms: duration })))
  const named = taken.map((verdict, index): NamedVerdict => ({ ...verdict, name: calls[index]?.namespace ?? '' }))
  const limits = taken.map(
    ({ passed, limit, remaining, reset, override_id }): LimitResult => ({
      success: passed,
      limit,
      remaining,
      reset,
      override_id,
    }),
  )
  return { success: limits.every(({ success }) => success), limits, headers: limitHeaders(named) }
}
