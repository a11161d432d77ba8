import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { z } from 'zod'
import { readIdempotencyKey } from '@/libs/api-utils/idempotency'
import { parseInput, parseJson, readBody, readQuery } from '@/libs/api-utils/read-json'
import { nameOfKey } from '@/libs/crypto/keyed-box'
import { checkBody, trackQuery } from '../schema'
import { TenantUsageTrackingService } from './tenant-usage-tracking-service'
import type { TrackResult } from './usage-answer'
import type { CheckResult } from './usage-check-service'
import { requireRoom } from './usage-writer'

/**
 * Reads and does one `POST /usage/track`. With an Idempotency-Key the whole request is safe to repeat; `replayed` says
 * that the answer is an earlier one. @throws AppError for a body that cannot be read, and as trackUsage does.
 */
export async function trackRequest(request: Request): Promise<TrackResult & { replayed?: true }> {
  const options = request.url.includes('?') ? readOptions(request) : {}
  const key = readIdempotencyKey(request)
  requireRoom(Number(request.headers.get('content-length') ?? 0))
  return trackText(await readBody(request), options, key)
}

/** Apart, so that the text of a body is let go of as soon as it is parsed. */
function trackText(text: string, options: TrackOptions, key: string | null): Promise<TrackResult> {
  if (key === null) return TenantUsageTrackingService.trackUsage(parseJson(text, { lenient: true }), options)
  const requestHash = createHash('sha256')
    .update(`track ${JSON.stringify(options)}\n`)
    .update(text)
    .digest()
  return TenantUsageTrackingService.trackUsage(parseJson(text, { lenient: true }), {
    ...options,
    once: { key: nameOfKey(key), requestHash },
  })
}

type TrackOptions = { strict?: boolean; enforce?: boolean }

function readOptions(request: Request): TrackOptions {
  const { strict, enforce } = readQuery(request, trackQuery)
  return { strict: strict === 'true', enforce: enforce === 'true' }
}

/** What was asked of late, by the text of its body: the same few questions are asked over and over, and read once. */
const questions = new LRUCache<string, z.infer<typeof checkBody>>({ max: 10_000 })
/** Characters of a body that is remembered, several times what a question takes. */
const LONGEST_REMEMBERED = 400

function readQuestion(text: string): z.infer<typeof checkBody> {
  const known = questions.get(text)
  if (known) return known
  const question = parseInput(checkBody, parseJson(text))
  if (text.length <= LONGEST_REMEMBERED) questions.set(text, question)
  return question
}

/** Reads and answers one `POST /usage/check`. @throws AppError for a body that cannot be read. */
export async function checkRequest(request: Request): Promise<CheckResult> {
  const { meter_id, user_id, amount } = readQuestion(await readBody(request))
  return TenantUsageTrackingService.checkUsageEnforcement(user_id, meter_id, amount)
}
