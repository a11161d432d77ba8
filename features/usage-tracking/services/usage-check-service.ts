import { textArray } from '@/libs/db/array-parameters'
import { tenantQuery } from '@/libs/db/tenant-db'
import { toQuantity } from '@/libs/ingest/decimal'
import { createGroupCommit } from '@/libs/ingest/group-commit'
import type { CheckCode, TierUpgrade } from '@/libs/metering/fields'
import { routeTenant } from '@/libs/tenancy/resolve-tenant'
import { type Actor, currentContext, runOutsideTenant } from '@/libs/tenancy/tenant-context'
import { type Period, type Standing, standing } from './usage-answer'
import { callerKey, runStatement, usageActor } from './usage-statement'

const CHECK = 'select app.check_usage($1, $2, $3, $4, $5, $6, $7) as value'
const READ = 'select app.read_usage($1, $2, $3, $4, $5) as value'

export type UsageQuestion = { meter: string; user: string; amount: string }

/** Whether an amount may be used, and where the customer stands. An answer is not a status: it is always 200. */
export type CheckResult = { allowed: boolean; code: CheckCode } & Standing & { upgrade?: TierUpgrade }

type Answer = [
  code: CheckCode,
  limit: string | null,
  used: string,
  behaviour: string | null,
  period: Period,
  resetEpoch: number,
  meter: string | null,
  nextTiers: (Omit<TierUpgrade['next_tiers'][number], 'limit'> & { limit: string | null })[] | null,
  reserved: string | null,
  overage?: string | null,
]
type Work = { tenantId: string; actor: Actor; question: UsageQuestion }

const reader = createGroupCommit<Work, Answer>({
  run: (works) => runOutsideTenant(() => readBatch(works)),
  writers: 8,
  singles: 32,
  worthJoining: 128,
  maxBatch: 500,
  maxQueued: 20_000,
})

/** Asks for the current tenant whether a customer may use an amount of a meter; amount 0 is a look. */
export async function checkUsage(question: UsageQuestion): Promise<CheckResult> {
  const { tenantId, actor, client } = currentContext()
  if (client) {
    const { time_zone } = await routeTenant(tenantId)
    const [row] = await tenantQuery<{ value: Answer[] }>(READ, [tenantId, time_zone, ...columnsOf([question])])
    const [answer] = row?.value ?? []
    if (!answer) throw new Error('app.read_usage answers every question.')
    return toResult(answer)
  }
  return toResult(await reader.submit(tenantId, callerKey(actor), { tenantId, actor, question }, 1))
}

function columnsOf(questions: readonly UsageQuestion[]): unknown[] {
  return [
    textArray(questions.map(({ meter }) => meter)),
    textArray(questions.map(({ user }) => user)),
    `{${questions.map(({ amount }) => amount).join(',')}}`,
  ]
}

/** Asks what several wait for at this moment; the same question once, however many ask it. */
async function readBatch(works: readonly Work[]): Promise<(Answer | Error)[]> {
  const [first] = works
  if (!first) return []
  const places = new Map<string, number>()
  const different: UsageQuestion[] = []
  const placeOf = works.map(({ question }) => {
    const { meter, user, amount } = question
    const name = `${meter.length} ${meter}${user} ${amount}`
    const known = places.get(name)
    if (known !== undefined) return known
    places.set(name, different.length)
    return different.push(question) - 1
  })
  const columns = columnsOf(different)
  const actor = usageActor(first.actor)
  const answers = await runStatement<Answer[]>(
    CHECK,
    first.tenantId,
    ({ epoch, time_zone }) => [first.tenantId, epoch, actor, time_zone, ...columns],
    works.length === 1 ? 'reads' : undefined,
  )
  return placeOf.map((place) => answers[place] ?? new Error('app.check_usage answers every question.'))
}

function toResult([code, limit, used, , period, resetEpoch, meter, nextTiers, reserved, overage]: Answer): CheckResult {
  const result: CheckResult = {
    allowed: code === 'VALID',
    code,
    ...standing(used, limit, period, resetEpoch, overage, reserved),
  }
  if (nextTiers && nextTiers.length > 0) {
    result.upgrade = {
      reason: code === 'VALID' ? 'overage' : 'cap_reached',
      meter: meter ?? '',
      next_tiers: nextTiers.map((tier) => ({ ...tier, limit: tier.limit === null ? null : toQuantity(tier.limit) })),
    }
  }
  return result
}
