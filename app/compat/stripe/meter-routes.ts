import { z } from 'zod'
import { freeSlug } from '@/app/compat/free-slug'
import { readAll } from '@/app/compat/read-all'
import { getCustomer } from '@/features/customers/services/customer-service'
import { meterInput } from '@/features/meters/schema'
import { createMeter, getMeter, listMeters, type MeterRow, updateMeter } from '@/features/meters/services/meter-service'
import { queryUsage } from '@/features/usage-tracking/services/usage-query-service'
import { parseInput } from '@/libs/api-utils/read-json'
import { ApiResponse } from '@/libs/api-utils/tenant-api-wrapper'
import { orNull } from '@/libs/errors'
import { slugOf } from '@/libs/ingest/slug'
import { usageQueryInput } from '@/libs/metering/usage-query'
import {
  isLive,
  missing,
  paging,
  readFields,
  readQueryFields,
  refuse,
  seconds,
  stripeRoute,
  toList,
  toSeconds,
} from './stripe-route'

const FORMULAS = { sum: 'SUM', count: 'COUNT', last: 'LATEST' } as const
const CUSTOMER_KEY = 'stripe_customer_id'
const VALUE_KEY = 'value'
const DAY_S = 86_400
const LATEST_DAYS = 400

const needed = (sentence: string, longest: number) =>
  z
    .string({ error: `is needed: ${sentence}` })
    .min(1, 'must not be empty')
    .max(longest, `must be at most ${longest} characters`)
const createFields = z.strictObject({
  display_name: needed('what people call it', 120),
  event_name: needed('the name of its events', 100),
  default_aggregation: z.strictObject(
    { formula: z.enum(['sum', 'count', 'last'], 'must be sum, count or last') },
    { error: 'is needed: default_aggregation[formula]' },
  ),
  customer_mapping: z
    .strictObject({
      event_payload_key: z.literal(CUSTOMER_KEY, `must be ${CUSTOMER_KEY}`),
      type: z.literal('by_id', 'must be by_id'),
    })
    .optional(),
  value_settings: z.strictObject({ event_payload_key: z.string().min(1).max(100) }).optional(),
  event_time_window: z.never({ error: 'is not possible: every event is counted by itself' }).optional(),
})

/** A meter as the wire has it. */
function toStripe(row: MeterRow, livemode: boolean) {
  const formula = Object.entries(FORMULAS).find(([, aggregation]) => aggregation === row.aggregation)?.[0]
  return {
    id: row.id,
    object: 'billing.meter',
    created: toSeconds(row.created_at),
    customer_mapping: { event_payload_key: CUSTOMER_KEY, type: 'by_id' },
    default_aggregation: { formula: formula ?? row.aggregation.toLowerCase() },
    display_name: row.name,
    event_name: row.event_type ?? row.slug,
    event_time_window: null,
    livemode,
    status: row.archived_at ? 'inactive' : 'active',
    status_transitions: { deactivated_at: row.archived_at ? toSeconds(row.archived_at) : null },
    updated: toSeconds(row.updated_at),
    value_settings: { event_payload_key: row.value_property ?? VALUE_KEY },
  }
}

/** Every meter, archived ones too, the newest first. */
export async function readMeters(): Promise<MeterRow[]> {
  const rows = await readAll((cursor) => listMeters({ cursor, limit: 200, archived: 'all' }))
  return rows.sort((a, b) => b.created_at.getTime() - a.created_at.getTime() || (a.id < b.id ? 1 : -1))
}

const READ = { permission: 'meters:read' } as const
const WRITE = { permission: 'meters:write' } as const

const create = stripeRoute(async (request) => {
  const { display_name, event_name, default_aggregation, value_settings } = await readFields(request, createFields)
  const meters = await readMeters()
  if (meters.some((meter) => !meter.archived_at && (meter.event_type ?? meter.slug) === event_name))
    throw refuse('/event_name', 'is the name of another active meter', 'resource_already_exists')
  const aggregation = FORMULAS[default_aggregation.formula]
  const key = value_settings?.event_payload_key ?? VALUE_KEY
  const input = {
    slug: freeSlug(slugOf(event_name) || slugOf(display_name) || 'meter', meters),
    name: display_name,
    aggregation,
    event_type: event_name,
    value_property: aggregation === 'COUNT' || key === VALUE_KEY ? null : key,
    allows_negative: aggregation !== 'COUNT',
  }
  return ApiResponse.success(toStripe(await createMeter(parseInput(meterInput, input)), isLive(request)))
}, WRITE)

const listFields = z.strictObject({ ...paging, status: z.enum(['active', 'inactive']).optional() })
const list = stripeRoute(async (request) => {
  const asked = readQueryFields(request, listFields)
  const rows = (await readMeters())
    .map((row) => toStripe(row, isLive(request)))
    .filter(({ status }) => asked.status === undefined || status === asked.status)
  return ApiResponse.success(toList(rows, '/v1/billing/meters', asked))
}, READ)

const get = stripeRoute(
  async (request, { params }) => ApiResponse.success(toStripe(await findMeter(params.meter ?? ''), isLive(request))),
  READ,
)

/** @throws AppError not_found, in the words of the wire. */
async function findMeter(id: string): Promise<MeterRow> {
  const row = await orNull(getMeter(id))
  if (!row) throw missing('billing meter', id)
  return row
}

const updateFields = z.strictObject({ display_name: z.string().trim().min(1).max(120).optional() })
const update = stripeRoute(async (request, { params }) => {
  const { display_name } = await readFields(request, updateFields)
  const patch = display_name === undefined ? {} : { name: display_name }
  return ApiResponse.success(
    toStripe(await updateMeter((await findMeter(params.meter ?? '')).id, patch), isLive(request)),
  )
}, WRITE)

const archive = (archived: boolean) =>
  stripeRoute(
    async (request, { params }) =>
      ApiResponse.success(
        toStripe(await updateMeter((await findMeter(params.meter ?? '')).id, { archived }), isLive(request)),
      ),
    WRITE,
  )

const summaryFields = z.strictObject({
  ...paging,
  customer: needed('whose usage', 255),
  start_time: seconds,
  end_time: seconds,
  value_grouping_window: z.enum(['day', 'hour'], 'must be day or hour').optional(),
})
const summaries = stripeRoute(
  async (request, { params }) => {
    const asked = readQueryFields(request, summaryFields)
    const { customer, start_time, end_time, value_grouping_window: window } = asked
    const meter = await findMeter(params.meter ?? '')
    const size = window === 'day' ? 86_400 : window === 'hour' ? 3_600 : 60
    for (const [pointer, time] of [
      ['/start_time', start_time],
      ['/end_time', end_time],
    ] as const)
      if (time % size !== 0) throw refuse(pointer, `must lie on a whole ${window ?? 'minute'} of UTC`)
    if (end_time <= start_time) throw refuse('/end_time', 'must be after start_time')
    const { id } = await findCustomer(customer)
    // An event may be older than its meter, but not by more than this.
    const earliest = Math.floor(toSeconds(meter.created_at) / DAY_S - LATEST_DAYS) * DAY_S
    const input = parseInput(usageQueryInput, {
      from: new Date(Math.min(Math.max(start_time, earliest), end_time - size) * 1_000).toISOString(),
      to: new Date(end_time * 1_000).toISOString(),
      time_zone: 'UTC',
      customer: [id],
      ...(window ? { window } : {}),
    })
    const { data } = await queryUsage(meter.id, input)
    const boundsOf = (row: { window_start: string; window_end: string }) =>
      window
        ? { start_time: toSeconds(row.window_start), end_time: toSeconds(row.window_end) }
        : { start_time, end_time }
    const rows = data.map((row) => ({
      id: `${meter.id}_${boundsOf(row).start_time}_${boundsOf(row).end_time}`,
      object: 'billing.meter_event_summary',
      aggregated_value: Number(row.value ?? 0),
      ...boundsOf(row),
      livemode: isLive(request),
      meter: meter.id,
    }))
    return ApiResponse.success(toList(rows.reverse(), `/v1/billing/meters/${meter.id}/event_summaries`, asked))
  },
  { permission: 'usage:read' },
)

async function findCustomer(reference: string): Promise<{ id: string }> {
  const row = await orNull(getCustomer(reference))
  if (!row) throw refuse('/customer', `there is no customer ${reference}`, 'resource_missing')
  return row
}

export const METER_PATHS = [
  ['POST', 'v1/billing/meters', create],
  ['GET', 'v1/billing/meters', list],
  ['GET', 'v1/billing/meters/{meter}', get],
  ['POST', 'v1/billing/meters/{meter}', update],
  ['POST', 'v1/billing/meters/{meter}/deactivate', archive(true)],
  ['POST', 'v1/billing/meters/{meter}/reactivate', archive(false)],
  ['GET', 'v1/billing/meters/{meter}/event_summaries', summaries],
] as const
