import { runStatementInside, runTenantStatement, statementActor } from '@/libs/db/tenant-statement'
import { createGroupCommit } from '@/libs/ingest/group-commit'
import { type Actor, currentContext, runOutsideTenant } from '@/libs/tenancy/tenant-context'
import type { RateLimit } from './memory-store'
import { judge, type Verdict } from './sliding-window'

const TAKE = 'select app.take_rate_limits($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) as value'

type Call = { tenantId: string; actor: Actor; limits: readonly RateLimit[] }
type Answer = { now: number; limits: [passed: boolean, started: number, used: number, usedBefore: number][] }

const taker = createGroupCommit<Call, Verdict[]>({
  run: (calls) => runOutsideTenant(() => takeTogether(calls, runTenantStatement)),
  writers: 2,
  singles: 16,
  worthJoining: 128,
  maxBatch: 500,
  maxQueued: 10_000,
})

/**
 * Holds a call of the current tenant against limits that all processes share, all or nothing, on the clock of the
 * database. Calls that wait at the same moment share a statement; within a transaction they are part of that. @throws what the database says.
 */
export async function takeInPostgres(limits: readonly RateLimit[]): Promise<Verdict[]> {
  const { tenantId, actor, client } = currentContext()
  if (client) return (await takeTogether([{ tenantId, actor, limits }], runStatementInside))[0] ?? []
  return taker.submit(tenantId, actor.kind, { tenantId, actor, limits }, limits.length)
}

async function takeTogether(calls: readonly Call[], run: typeof runTenantStatement): Promise<Verdict[][]> {
  const [first] = calls
  if (!first) return []
  const windows = new Map<string, RateLimit>()
  for (const { limits } of calls) for (const limit of limits) windows.set(windowKey(limit), limit)
  // Everybody locks in this order.
  const keys = [...windows.keys()].sort()
  const place = new Map(keys.map((key, index) => [key, index + 1]))
  const sorted = keys.flatMap((key) => windows.get(key) ?? [])
  const flat = calls.flatMap(({ limits }, call) => limits.map((limit) => ({ limit, call })))
  const answer = await run<Answer>(
    TAKE,
    first.tenantId,
    ({ epoch }) => [
      first.tenantId,
      epoch,
      statementActor(first.actor, ['usage:write']),
      sorted.map(({ namespace }) => namespace),
      sorted.map(({ identifier }) => identifier),
      sorted.map(({ duration_ms }) => duration_ms),
      flat.map(({ limit }) => place.get(windowKey(limit)) ?? 0),
      flat.map(({ call }) => call),
      flat.map(({ limit }) => limit.limit),
      flat.map(({ limit }) => limit.cost),
    ],
    { short: flat.length === 1 ? 'writes' : undefined },
  )
  let at = 0
  return calls.map(({ limits }) => {
    // What the call wants of a window, with what it wanted of it before.
    const wanted = new Map<string, number>()
    return limits.map((limit) => {
      const [passed, started, used, used_before] = answer.limits[at] ?? [false, 0, 0, 0]
      at += 1
      const cost = (wanted.get(windowKey(limit)) ?? 0) + limit.cost
      wanted.set(windowKey(limit), cost)
      return judge({ started, used, used_before }, limit, cost, answer.now, passed)
    })
  })
}

function windowKey({ namespace, identifier, duration_ms }: RateLimit): string {
  return JSON.stringify([namespace, identifier, duration_ms])
}
