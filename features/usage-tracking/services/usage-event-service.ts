import { cutPage, decodeCursor, type Page } from '@/libs/api-utils/page'
import { tenantQuery } from '@/libs/db/tenant-db'
import { AppError } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { EventListQuery } from '../schema'
import { eventKey } from './event-parser'
import { resolveFilter, resolveRange } from './usage-range'

export type EventRow = {
  id: string
  event_id: string | null
  source: string | null
  meter: string
  meter_id: string
  user_id: string
  customer_id: string
  value: Quantity
  occurred_at: Date
  received_at: Date
  properties: Record<string, unknown> | null
}
type StoredRow = Omit<EventRow, 'value'> & { value: string; position: string }

/** Counted events, the last received first. @throws AppError not_found for a filter, invalid_input for the range. */
export async function listEvents(query: EventListQuery): Promise<Page<EventRow>> {
  const { meterId, customerId } = await resolveFilter(query)
  const range = query.from === undefined ? null : await resolveRange({ from: query.from, to: query.to })
  const [receivedAt, id] = readCursor(query.cursor)
  const rows = await tenantQuery<StoredRow>(
    `select e.id, e.event_id, e.source, m.slug as meter, e.meter_id, c.external_id as user_id, e.customer_id, e.value::text as value,
       e.occurred_at, e.received_at, e.properties, e.received_at::text as position
     from usage_events e
     join meters m on m.tenant_id = $1 and m.id = e.meter_id
     join customers c on c.tenant_id = $1 and c.id = e.customer_id
     where e.tenant_id = $1
       and ($2::uuid is null or e.meter_id = $2) and ($3::uuid is null or e.customer_id = $3)
       and ($4::text is null or (e.event_id = $4 and (e.source is not null or e.id = $5)))
       and ($6::timestamptz is null or e.received_at >= $6) and ($7::timestamptz is null or e.received_at < $7)
       and ($8::timestamptz is null or (e.received_at, e.id) < ($8, $9))
     order by e.received_at desc, e.id desc limit $10`,
    [
      currentContext().tenantId,
      meterId,
      customerId,
      query.event_id ?? null,
      query.event_id === undefined ? null : eventKey(null, query.event_id),
      range?.from ?? null,
      range?.to ?? null,
      receivedAt,
      id,
      query.limit + 1,
    ],
  )
  const page = cutPage(rows, query.limit, (row) => [row.position, row.id])
  return {
    data: page.data.map(({ position: _position, value, ...row }) => ({ ...row, value: toQuantity(value) })),
    next_cursor: page.next_cursor,
  }
}

function readCursor(cursor: string | undefined): [string | null, string | null] {
  if (cursor === undefined) return [null, null]
  const [receivedAt = '', id = ''] = decodeCursor(cursor, 2)
  if (!isUuid(id) || Number.isNaN(Date.parse(receivedAt)))
    throw new AppError('bad_request', 'This cursor is not one we gave out.')
  return [receivedAt, id]
}
