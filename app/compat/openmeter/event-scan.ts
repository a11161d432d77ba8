import { readAll } from '@/app/compat/read-all'
import { listMeters } from '@/features/meters/services/meter-service'
import { listEvents } from '@/features/usage-tracking/services/usage-event-service'
import { listRejections } from '@/features/usage-tracking/services/usage-rejection-service'
import { encodeCursor, isAnyText, isCursorMoment, readCursor } from '@/libs/api-utils/page'
import { type Listed, type SentTo, toListedEvent, toRefusedEvent } from './event-shape'

export type Scan = {
  /** Only events of this customer, whose id or external id it is. */
  customer?: string | undefined
  /** Only events of this id. */
  id?: string | undefined
  passes: (listed: Listed) => boolean
  limit: number
  /** Where an earlier scan ended. */
  cursor?: string | undefined
}

const PAGE = 200
/** Pages of each kind that are looked through for one answer. */
const MOST_PAGES = 50
const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

type Source = { next: () => Promise<Listed | null>; isCut: () => boolean }

/** Rows of a list in pages, one at a time. */
function toSource(
  read: (cursor: string | undefined) => Promise<{ data: (Listed | null)[]; next_cursor: string | null }>,
  start: string | undefined,
): Source {
  let waiting: (Listed | null)[] = []
  let cursor: string | null | undefined = start
  let pages = 0
  return {
    next: async () => {
      for (;;) {
        const row = waiting.shift()
        if (row) return row
        if (row === null) continue
        if (cursor === null || pages === MOST_PAGES) return null
        pages += 1
        const page = await read(cursor)
        waiting = page.data
        cursor = page.next_cursor
      }
    },
    isCut: () => pages === MOST_PAGES && cursor !== null,
  }
}

const nameOf = ({ event, ingestedAt }: Listed) => JSON.stringify([ingestedAt.toISOString(), event.source, event.id])

/**
 * Events that were taken in, counted or not, the last received first and each once however many meters count it; and where
 * to go on, when there may be more: also where none of those that were looked through passed.
 */
export async function scanEvents(scan: Scan): Promise<{ items: Listed[]; cursor: string | null }> {
  const [moment, last] = readCursor(scan.cursor, isCursorMoment, isAnyText)
  const at = moment === null ? null : Date.parse(moment)
  const types = await readTypes()
  const typeOf = (slug: string): SentTo => types.get(slug) ?? { type: slug, moved: [] }
  const counted = toSource(
    async (cursor) => {
      const page = await listEvents({
        cursor,
        limit: PAGE,
        ...(scan.customer === undefined ? {} : { customer: scan.customer }),
        ...(scan.id === undefined ? {} : { event_id: scan.id }),
      })
      return {
        ...page,
        data: page.data.map((row) => (row.corrects === null ? toListedEvent(row, typeOf(row.meter)) : null)),
      }
    },
    at === null ? undefined : encodeCursor([new Date(at + 1).toISOString(), LAST_ID]),
  )
  const refused = toSource(
    async (cursor) => {
      const page = await listRejections({ cursor, limit: PAGE })
      return { ...page, data: page.data.map((row) => toRefusedEvent(row, typeOf)) }
    },
    at === null ? undefined : encodeCursor([idAfter(at)]),
  )
  const seen = new Set<string>()
  const items: Listed[] = []
  let isPast = last === null
  let end: Listed | null = null
  let [one, other] = [await counted.next(), await refused.next()]
  // What one of them was not looked through for may lie between the rows of the other.
  const isCut = () => (one === null && counted.isCut()) || (other === null && refused.isCut())
  while ((one || other) && !isCut()) {
    const isCounted = one !== null && (other === null || one.ingestedAt >= other.ingestedAt)
    const row = isCounted ? one : other
    if (isCounted) one = await counted.next()
    else other = await refused.next()
    if (!row) continue
    end = row
    const name = nameOf(row)
    const key = JSON.stringify([row.event.source, row.event.id, row.validationError])
    if (!seen.has(key)) {
      seen.add(key)
      if (isPast && scan.passes(row)) items.push(row)
    }
    if (name === last) isPast = true
    else if (!isPast && at !== null && row.ingestedAt.getTime() < at) isPast = true
    if (items.length === scan.limit) break
  }
  const more = one !== null || other !== null || isCut()
  return { items, cursor: more && end ? encodeCursor([end.ingestedAt.toISOString(), nameOf(end)]) : null }
}

/** Types of all meters, archived ones too, by slug. */
async function readTypes(): Promise<Map<string, SentTo>> {
  const meters = await readAll((cursor) => listMeters({ cursor, limit: PAGE, archived: 'all' }))
  return new Map(
    meters.map(({ slug, event_type, property_paths }) => [
      slug,
      { type: event_type ?? slug, moved: Object.keys(property_paths ?? {}) },
    ]),
  )
}

/** An id that sorts after all that were made up to a moment. */
function idAfter(ms: number): string {
  const hex = (ms + 1).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7fff-bfff-ffffffffffff`
}
