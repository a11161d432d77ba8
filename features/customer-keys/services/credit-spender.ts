import { LRUCache } from 'lru-cache'
import { runStatementInside, runTenantStatement, statementActor } from '@/libs/db/tenant-statement'
import { createGroupCommit } from '@/libs/ingest/group-commit'
import { log } from '@/libs/log'
import { type Actor, currentContext, runOutsideTenant } from '@/libs/tenancy/tenant-context'

const SPEND = 'select app.spend_customer_keys($1, $2, $3, $4, $5, $6) as value'
const TOUCH = 'select app.touch_customer_keys($1, $2, $3, $4) as value'

type Work = { tenantId: string; actor: Actor; keyId: string; cost: number }
export type Spent = { spent: boolean; remaining: number | null }

const spender = createGroupCommit<Work, Spent>({
  run: (works) => runOutsideTenant(() => spendTogether(works, runTenantStatement)),
  writers: 2,
  singles: 16,
  worthJoining: 128,
  maxBatch: 500,
  maxQueued: 20_000,
})

/**
 * Takes credits of a key of the current tenant, all of the cost or nothing, and resolves once that is committed: never
 * more are given away than there are, whatever the number of processes. Cost 0 looks. Requests that wait at the same
 * moment share a commit; within a transaction it is part of that. @throws AppError tenant_read_only, unavailable.
 */
export async function spendCredits(keyId: string, cost: number): Promise<Spent> {
  const { tenantId, actor, client } = currentContext()
  const work = { tenantId, actor, keyId, cost }
  if (!client) return spender.submit(tenantId, actor.kind, work, 1)
  const [spent] = await spendTogether([work], runStatementInside)
  if (!spent) throw new Error('Every key that is asked for has an answer.')
  return spent
}

async function spendTogether(works: readonly Work[], run: typeof runTenantStatement): Promise<Spent[]> {
  const [first] = works
  if (!first) return []
  const keys = [...new Set(works.map(({ keyId }) => keyId))]
  const place = new Map(keys.map((key, index) => [key, index + 1]))
  const rows = await run<[boolean, number | null][]>(
    SPEND,
    first.tenantId,
    ({ epoch }) => [
      first.tenantId,
      epoch,
      statementActor(first.actor, ['usage:write']),
      keys,
      works.map(({ keyId }) => place.get(keyId) ?? 0),
      works.map(({ cost }) => cost),
    ],
    { short: works.length === 1 ? 'writes' : undefined },
  )
  return rows.map(([spent, remaining]) => ({ spent, remaining }))
}

const touched = new LRUCache<string, true>({ max: 200_000, ttl: 60_000, ttlResolution: 1_000 })
const toucher = createGroupCommit<Omit<Work, 'cost'>, true>({
  run: (works) => runOutsideTenant(() => touchTogether(works)),
  writers: 1,
  worthJoining: 500,
  maxBatch: 500,
  maxQueued: 20_000,
})

/** Notes that a key was used, at most once a minute, without making anybody wait for it. */
export function touchKey(keyId: string): void {
  if (touched.has(keyId)) return
  touched.set(keyId, true)
  const { tenantId, actor } = currentContext()
  toucher
    .submit(tenantId, actor.kind, { tenantId, actor, keyId }, 1)
    .catch((error: Error) => log.debug({ error: error.message, key_id: keyId }, 'last use of a key not noted'))
}

async function touchTogether(works: readonly Omit<Work, 'cost'>[]): Promise<true[]> {
  const [first] = works
  if (!first) return []
  await runTenantStatement(TOUCH, first.tenantId, ({ epoch }) => [
    first.tenantId,
    epoch,
    statementActor(first.actor, ['usage:write']),
    works.map(({ keyId }) => keyId),
  ])
  return works.map(() => true as const)
}
