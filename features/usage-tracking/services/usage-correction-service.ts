import { tenantQuery } from '@/libs/db/tenant-db'
import { AppError } from '@/libs/errors'
import { routeTenant } from '@/libs/tenancy/resolve-tenant'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { type Correction, parseCorrections } from './correction-parser'
import { eventKey, type Rejection } from './event-parser'
import { type Refusal, type RejectedEvent, rejectEvent } from './usage-answer'

/** What became of one correction. */
export type CorrectedEvent = {
  index: number
  status: 'canceled' | 'amended' | 'duplicate'
  /** Event that was taken back, in the version that stood. */
  id: string
  /** The compensating row. */
  canceled_by: string | null
  /** The event that stands instead. */
  replaced_by: string | null
}

export type CorrectionResult = {
  corrected: number
  duplicates: number
  results: CorrectedEvent[]
  rejected: RejectedEvent[]
}

type Answer = {
  index: number
  code: 'corrected' | 'duplicate' | 'not_found' | 'is_correction' | 'canceled' | 'unchanged' | 'sealed' | 'refused'
  id?: string
  canceled_by?: string | null
  replaced_by?: string | null
  refused?: number
  standing?: Refusal | null
}

const REASONS: Record<Exclude<Answer['code'], 'corrected' | 'duplicate' | 'refused'>, string> = {
  not_found: 'No such event was counted.',
  is_correction: 'This is itself a correction, which cannot be corrected; name the event.',
  canceled: 'The event is cancelled; send what should count as a new event with another event_id.',
  unchanged: 'The event is like that already.',
  sealed: 'It is the extreme of its day or hour, of which other events are gone: nobody knows what would be left.',
}

/**
 * Cancels or amends counted events of the current tenant, each with all counters, the customer's balance and an entry in
 * the record; it is safe to repeat. A correction that is refused changes nothing, and takes no other with it unless
 * strict. @throws AppError invalid_input for a body that is no list of corrections, or when strict and one is refused.
 */
export async function correctUsage(body: unknown, { strict = false } = {}): Promise<CorrectionResult> {
  const { corrections, rejected } = parseCorrections(body)
  if (strict && rejected.length > 0) throw refuseAll(rejected)
  const result: CorrectionResult = { corrected: 0, duplicates: 0, results: [], rejected: [...rejected] }
  if (corrections.length > 0) {
    const { tenantId } = currentContext()
    const { time_zone } = await routeTenant(tenantId)
    const items = JSON.stringify(corrections.map(({ index: _index, ...item }) => item))
    const [row] = await tenantQuery<{ answers: Answer[] }>('select app.correct_usage($1, $2, $3::jsonb) as answers', [
      tenantId,
      time_zone,
      items,
    ])
    for (const answer of row?.answers ?? []) {
      const correction = corrections[answer.index]
      if (correction) place(result, correction, answer)
    }
  }
  result.rejected.sort((left, right) => left.index - right.index)
  if (strict && result.rejected.length > 0) throw refuseAll(result.rejected)
  return result
}

/** Which meters counted the events of these ids that name no source, by those ids; what is not there is left out. */
export async function findMetersOf(eventIds: readonly string[]): Promise<Map<string, string>> {
  const ids = new Map(eventIds.map((eventId) => [eventKey(null, eventId), eventId]))
  const rows = await tenantQuery<{ id: string; meter_id: string }>(
    'select id, meter_id from usage_events where tenant_id = $1 and id = any ($2::uuid[])',
    [currentContext().tenantId, [...ids.keys()]],
  )
  return new Map(rows.map(({ id, meter_id }) => [ids.get(id.replaceAll('-', '')) ?? '', meter_id]))
}

function place(result: CorrectionResult, { index, action }: Correction, answer: Answer): void {
  const { code } = answer
  if (code === 'corrected' || code === 'duplicate') {
    if (code === 'corrected') result.corrected += 1
    else result.duplicates += 1
    const status = code === 'duplicate' ? 'duplicate' : action === 'cancel' ? 'canceled' : 'amended'
    const { id = '', canceled_by = null, replaced_by = null } = answer
    result.results.push({ index, status, id, canceled_by, replaced_by })
  } else if (code === 'refused') result.rejected.push(rejectEvent(index, answer.refused ?? 0, answer.standing))
  else result.rejected.push({ index, code, detail: REASONS[code] })
}

function refuseAll(rejected: readonly Rejection[]): AppError {
  return new AppError('invalid_input', 'Nothing was corrected: strict asks for all or nothing.', {
    errors: rejected.map(({ index, detail }) => ({ pointer: `/${index}`, detail })),
    extra: { rejected },
  })
}
