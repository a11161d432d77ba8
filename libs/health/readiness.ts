import { answerWithin } from '@/libs/answer-within'
import { serverQuery } from '@/libs/db/server-query'
import { env } from '@/libs/env'
import { describeError } from '@/libs/errors'
import { log } from '@/libs/log'

export type Check = { ok: boolean; ms: number }
export type Readiness = { status: 'ready' | 'not_ready'; checks: { database: Check; auth: Check } }

const LIMIT_MS = 2_000

async function measure(name: string, probe: () => Promise<unknown>): Promise<Check> {
  const started = performance.now()
  try {
    await answerWithin(LIMIT_MS, probe())
    return { ok: true, ms: Math.round(performance.now() - started) }
  } catch (error) {
    log.warn({ check: name, error: describeError(error) }, 'not ready')
    return { ok: false, ms: Math.round(performance.now() - started) }
  }
}

async function probeAuth(): Promise<void> {
  const response = await fetch(new URL('/auth/v1/health', env().SUPABASE_URL), {
    headers: { apikey: env().SUPABASE_PUBLISHABLE_KEY ?? '' },
    signal: AbortSignal.timeout(LIMIT_MS),
  })
  await response.body?.cancel()
  if (response.status >= 500) throw new Error(`the auth server answers ${response.status}`)
}

/** Asks what a request stands on, each part for at most two seconds; times are measured in milliseconds. */
export async function checkReadiness(): Promise<Readiness> {
  const [database, auth] = await Promise.all([
    measure('database', () => serverQuery('select 1')),
    measure('auth', probeAuth),
  ])
  return { status: database.ok && auth.ok ? 'ready' : 'not_ready', checks: { database, auth } }
}
