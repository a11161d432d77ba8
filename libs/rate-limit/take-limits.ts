import { answerWithin } from '@/libs/answer-within'
import { env } from '@/libs/env'
import { AppError, describeError } from '@/libs/errors'
import { log } from '@/libs/log'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { type RateLimit, takeInMemory } from './memory-store'
import { findOverride, PATIENCE_MS } from './overrides'
import { takeInPostgres } from './postgres-store'
import type { Verdict } from './sliding-window'

export type Taken = Verdict & { duration_ms: number; override_id: string | null }

/** After the shared store failed, so long the memory of this process is used without asking it. */
const REST_MS = 1_000
let awayUntil = 0

/**
 * Holds a call of the current tenant against limits, all or nothing: it passed when every verdict says so. An override
 * of the tenant takes the place of the limit that is asked for: the exact identifier first, then a pattern. Counted in
 * the memory of this process, or in Postgres where RATE_LIMIT_STORE says so; a store that does not answer in a quarter of
 * a second is done without, so that limits never stop a service (docs/decisions/0014-rate-limits.md).
 */
export async function takeLimits(asked: readonly RateLimit[]): Promise<Taken[]> {
  const { tenantId } = currentContext()
  const overrides: (string | null)[] = []
  const limits: RateLimit[] = []
  for (const limit of asked) {
    const found = findOverride(limit.namespace, limit.identifier)
    const override = found instanceof Promise ? await found : found
    overrides.push(override?.id ?? null)
    limits.push(override ? { ...limit, limit: override.limit, duration_ms: override.duration_ms } : limit)
  }
  const verdicts = env().RATE_LIMIT_STORE === 'postgres' ? await takeShared(limits) : takeInMemory(tenantId, limits)
  return verdicts.map((verdict, index) => ({
    ...verdict,
    duration_ms: limits[index]?.duration_ms ?? 0,
    override_id: overrides[index] ?? null,
  }))
}

async function takeShared(limits: readonly RateLimit[]): Promise<Verdict[]> {
  const { tenantId, client } = currentContext()
  // A transaction that a statement has failed in is over: nothing can be counted instead.
  if (client) return takeInPostgres(limits)
  if (performance.now() >= awayUntil) {
    try {
      return await answerWithin(PATIENCE_MS, takeInPostgres(limits))
    } catch (error) {
      // What the tenant may not do it may not do; everything else is the store's fault and not the caller's.
      if (error instanceof AppError && error.code !== 'unavailable') throw error
      awayUntil = performance.now() + REST_MS
      log.warn({ error: describeError(error) }, 'rate limits counted in memory for now')
    }
  }
  return takeInMemory(tenantId, limits)
}
