import { AppError } from '@/libs/errors'
import type { ExactNumber } from '@/libs/ingest/exact-number'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { type ParsedEvents, parseEvents } from './event-parser'
import type { TrackResult } from './usage-answer'
import { type CheckResult, checkUsage } from './usage-check-service'
import { keepRejections } from './usage-rejection-service'
import { refuseStrictly, type WriteOptions, writeEvents } from './usage-writer'

/** A usage event as callers write it. */
export type TrackedEvent = {
  /** Id or slug of a meter. */
  meter_id: string
  /** The tenant's own name for the customer; made a customer at first sight. */
  user_id: string
  /** Decimal, 1 when left out. */
  event_value?: number | string | ExactNumber
  properties?: Record<string, string | number | ExactNumber | boolean | null>
  event_id?: string
  source?: string
  timestamp?: string | number
}

/**
 * Counts usage events for the current tenant: durable, counted once, and enforced when it resolves. What is wrong with one
 * event refuses that event alone. @throws AppError invalid_input for no event, too many, or with `strict` when one is refused.
 */
async function trackUsage(
  input: TrackedEvent | readonly TrackedEvent[] | unknown,
  options: WriteOptions = {},
): Promise<TrackResult> {
  return trackParsed(parseEvents(input), options)
}

async function trackParsed(parsed: ParsedEvents, options: WriteOptions): Promise<TrackResult> {
  const { events, rejected } = parsed
  if (options.strict && rejected.length > 0) {
    await keepRejections(rejected, parsed)
    throw refuseStrictly(rejected)
  }
  if (events.length === 0) {
    await keepRejections(rejected, parsed)
    return { inserted: 0, duplicates: 0, rejected }
  }
  const result = await writeEvents(events, options).catch(async (error: unknown) => {
    // Within a transaction nothing can be kept: it ends with this error.
    if (error instanceof AppError && error.details.extra?.rejected && !currentContext().client) {
      await keepRejections(error.details.extra.rejected as TrackResult['rejected'], parsed)
    }
    throw error
  })
  if (rejected.length > 0) result.rejected = [...rejected, ...result.rejected].sort((a, b) => a.index - b.index)
  if (!result.replayed) await keepRejections(result.rejected, parsed)
  return result
}

/**
 * Whether a customer may use an amount of a meter now: what the cap of its tier leaves. Amount 0 is a look.
 * @throws AppError invalid_input when the amount is no decimal of zero or more.
 */
async function checkUsageEnforcement(
  userId: string,
  meterId: string,
  requestedAmount: number | string = 1,
): Promise<CheckResult> {
  const amount = String(requestedAmount)
  if (!/^\d{1,30}(?:\.\d{1,20})?$/.test(amount)) {
    throw new AppError('invalid_input', 'The amount must be a decimal of zero or more.', {
      errors: [{ pointer: '/amount', detail: 'must be a decimal of zero or more' }],
    })
  }
  return checkUsage({ meter: meterId.toLowerCase(), user: userId, amount })
}

/** Usage of the current tenant's customers: count it, and ask what is left. */
export const TenantUsageTrackingService = Object.freeze({ trackUsage, checkUsageEnforcement })
