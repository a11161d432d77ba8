import { tenantQuery } from '@/libs/db/tenant-db'
import { AppError, invalidInput, notFound } from '@/libs/errors'
import { newId } from '@/libs/ids'
import { isNegative, type Quantity, subtractDecimals, toQuantity } from '@/libs/ingest/decimal'
import type { TierUpgrade } from '@/libs/metering/fields'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { readTimeZone } from '@/libs/tenancy/time-zone'
import type { ReserveInput, SettleInput } from '../schema'

type Standing = {
  limit: Quantity | null
  used: Quantity
  held: Quantity
  remaining: Quantity | null
  overage: Quantity
  reset_at: string
}
export type ReserveAnswer = { allowed: boolean; code: string; meter: string; user_id: string } & {
  [Name in keyof Standing]: Standing[Name] | null
} & {
  reservation: { id: string; amount: Quantity; expires_at: string } | null
  upgrade?: TierUpgrade
}
export type SettleAnswer = Standing & {
  reservation_id: string
  status: 'settled'
  amount: Quantity
  settled: Quantity
  counted: Quantity
  meter: string
  user_id: string
}
export type ReleaseAnswer = { reservation_id: string; status: 'released'; amount: Quantity }

type StoredStanding = {
  limit: string | null
  used: string
  held: string
  remaining: string | null
  overage: string
  reset: number
}
type Reserved = Partial<StoredStanding> & {
  allowed: boolean
  code: string
  meter?: string
  reservation?: { id: string; amount: string; expires_at: number } | null
  next_tiers?: (Omit<TierUpgrade['next_tiers'][number], 'limit'> & { limit: string | null })[] | null
}
type Settled = StoredStanding & {
  status: 'settled' | 'refused' | 'conflict' | 'expired' | 'released' | 'not_found' | 'not_countable'
  code: number | null
  meter: string
  user: string
  amount: string
  settled: string
  counted: string
}

/** Why app.record_usage refused what was to be counted. */
const REFUSALS: Record<number, string> = {
  3: 'The meter is not there any more.',
  4: 'The meter is archived.',
  5: 'The customer is not there any more.',
  6: 'The customer is archived.',
  9: 'The meter takes no negative values.',
  10: 'What goes beyond the amount held does not fit under the cap.',
  11: 'The meter takes its value from a property that is missing or no number.',
}
const LESS_IS_LEFT =
  'Since this was held, less is allowed: it does not fit under the cap any more. Settle less, or release it.'

/**
 * Holds an amount back for a customer until it is settled, released or expires. An answer is not an error: `allowed` says
 * whether it is held. @throws AppError invalid_input for a meter or an amount that cannot be reserved.
 */
export async function reserveUsage({ meter_id, user_id, amount, expires_in }: ReserveInput): Promise<ReserveAnswer> {
  const answer = await ask<Reserved>(
    'select app.reserve_usage($1, $2, $3, $4, $5, clock_timestamp() + make_interval(secs => $6), $7) as value',
    [currentContext().tenantId, await readTimeZone(), user_id, meter_id.toLowerCase(), amount, expires_in, newId()],
  )
  if (answer.code === 'NOT_ADDITIVE') throw invalidInput('/meter_id', 'must be a meter that adds up (SUM, COUNT)')
  if (answer.code === 'NOT_COUNTABLE') throw invalidInput('/amount', WHOLE)
  const { allowed, code, meter = meter_id, reservation, next_tiers } = answer
  const result: ReserveAnswer = {
    allowed,
    code,
    meter,
    user_id,
    ...(answer.reset === undefined ? NOWHERE : toStanding(answer as StoredStanding)),
    reservation: reservation
      ? {
          id: reservation.id,
          amount: toQuantity(reservation.amount),
          expires_at: toMoment(reservation.expires_at),
        }
      : null,
  }
  if (next_tiers && next_tiers.length > 0) {
    const offers = next_tiers.map((tier) => ({ ...tier, limit: tier.limit === null ? null : toQuantity(tier.limit) }))
    result.upgrade = { reason: 'cap_reached', meter, next_tiers: offers }
  }
  return result
}

/**
 * Counts what was held, or another amount, and lets go of the rest. The same again is the same answer.
 * @throws AppError not_found; reservation_expired; conflict when it was settled with another amount, released, or does
 * not fit (then nothing has happened).
 */
export async function settleReservation({ reservation_id, amount, properties }: SettleInput): Promise<SettleAnswer> {
  const answer = await ask<Settled>('select app.settle_reservation($1, $2, $3, $4, $5) as value', [
    currentContext().tenantId,
    await readTimeZone(),
    reservation_id,
    amount ?? null,
    properties ? JSON.stringify(properties) : null,
  ])
  requireOpen(answer)
  if (answer.status === 'not_countable') throw invalidInput('/amount', WHOLE)
  if (answer.status === 'refused') {
    const wasHeld = answer.code === 10 && !isNegative(subtractDecimals(answer.amount, amount ?? answer.amount))
    throw new AppError('conflict', wasHeld ? LESS_IS_LEFT : (REFUSALS[answer.code ?? 0] ?? 'The usage was refused.'), {
      extra: { reason: answer.code === 10 ? 'usage_exceeded' : 'usage_refused', ...toStanding(answer) },
    })
  }
  return {
    reservation_id,
    status: 'settled',
    amount: toQuantity(answer.amount),
    settled: toQuantity(answer.settled),
    counted: toQuantity(answer.counted),
    meter: answer.meter,
    user_id: answer.user,
    ...toStanding(answer),
  }
}

/** Gives back what was held; safe to repeat. @throws AppError not_found, conflict once it is settled. */
export async function releaseReservation(reservationId: string): Promise<ReleaseAnswer> {
  const answer = await ask<Settled>('select app.release_reservation($1, $2) as value', [
    currentContext().tenantId,
    reservationId,
  ])
  if (answer.status !== 'released') requireOpen(answer)
  return { reservation_id: reservationId, status: 'released', amount: toQuantity(answer.amount) }
}

const WHOLE = 'must be a whole number of at most 1,000: the meter counts events'
const NOWHERE = { limit: null, used: null, held: null, remaining: null, overage: null, reset_at: null }

function requireOpen({ status, settled }: Pick<Settled, 'status' | 'settled'>): void {
  if (status === 'not_found') throw notFound()
  if (status === 'released')
    throw new AppError('conflict', 'This reservation was released.', { extra: { reason: status } })
  if (status === 'expired') throw new AppError('reservation_expired', 'This reservation has expired.')
  if (status === 'conflict') {
    throw new AppError('conflict', `This reservation was settled with ${settled}.`, {
      extra: { reason: 'settled', settled: toQuantity(settled) },
    })
  }
}

async function ask<Answer>(text: string, values: unknown[]): Promise<Answer> {
  const [row] = await tenantQuery<{ value: Answer }>(text, values)
  if (!row) throw new Error('A function of the database answers.')
  return row.value
}

function toStanding({ limit, used, held, remaining, overage, reset }: StoredStanding): Standing {
  return {
    limit: limit === null ? null : toQuantity(limit),
    used: toQuantity(used),
    held: toQuantity(held),
    remaining: remaining === null ? null : toQuantity(remaining),
    overage: toQuantity(overage),
    reset_at: toMoment(reset),
  }
}

function toMoment(epoch: number): string {
  return new Date(epoch * 1_000).toISOString()
}
