import { z } from 'zod'
import { getCustomer } from '@/features/customers/services/customer-service'
import { getMeter, type MeterRow } from '@/features/meters/services/meter-service'
import { queryUsage } from '@/features/usage-tracking/services/usage-query-service'
import { parseInput } from '@/libs/api-utils/read-json'
import { ApiResponse } from '@/libs/api-utils/tenant-api-wrapper'
import { AppError } from '@/libs/errors'
import type { FilterCondition } from '@/libs/metering/meter-filter'
import { type UsageSeries, usageQueryInput } from '@/libs/metering/usage-query'
import { openMeterRoute, readExact, readParameters } from './openmeter-route'

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
/** How far back a question goes that does not say from when: the longest range of its windows. */
const LONGEST_DAYS = { MINUTE: 7, HOUR: 366, DAY: 1_825, MONTH: 1_825 } as const
/** An event may be older than the meter that counts it. */
const LATEST_DAYS = 400

const texts = z.array(z.string().min(1).max(255)).max(100)
const moment = z.iso.datetime({ offset: true, error: 'must be RFC 3339 with a zone' })
const question = z.strictObject({
  clientId: z.string().optional(),
  from: moment.optional(),
  to: moment.optional(),
  windowSize: z.enum(['MINUTE', 'HOUR', 'DAY', 'MONTH']).optional(),
  windowTimeZone: z.string().default('UTC'),
  subject: texts.optional(),
  filterCustomerId: texts.optional(),
  groupBy: z.array(z.string()).default([]),
  filterGroupBy: z.record(z.string(), texts).default({}),
})
type Question = z.infer<typeof question>

const LISTS = new Set(['subject', 'filterCustomerId', 'groupBy'])

function readQuestion(request: Request): Question {
  const values: Record<string, unknown> = {}
  const filter: Record<string, string[]> = {}
  for (const [name, value] of readParameters(request)) {
    const group = /^filterGroupBy\[(.+)\]$/.exec(name)?.[1]
    if (group !== undefined) filter[group] = [...(filter[group] ?? []), value]
    else if (LISTS.has(name)) values[name] = [...((values[name] as string[]) ?? []), value]
    else if (name !== 'tenant') values[name] = value
  }
  return parseInput(question, { ...values, filterGroupBy: filter })
}

/** Ids of the customers that are there, by subject or id; null for all. */
async function findCustomers({ subject, filterCustomerId }: Question): Promise<string[] | null> {
  if (subject === undefined && filterCustomerId === undefined) return null
  const [bySubject, byId] = await Promise.all([subject, filterCustomerId].map(idsOf))
  return bySubject && byId ? bySubject.filter((id) => byId.includes(id)) : (bySubject ?? byId ?? [])
}

async function idsOf(references: readonly string[] | undefined): Promise<string[] | null> {
  if (references === undefined) return null
  const ids: string[] = []
  for (const reference of new Set(references)) {
    try {
      ids.push((await getCustomer(reference)).id)
    } catch (error) {
      // Who never used anything has no usage.
      if (!(error instanceof AppError && error.code === 'not_found')) throw error
    }
  }
  return ids
}

function rangeOf({ from, to, windowSize }: Question, meter: MeterRow): { from: string; to: string } {
  const end = to === undefined ? Math.ceil((Date.now() + 1) / MINUTE_MS) * MINUTE_MS : Date.parse(to)
  if (from !== undefined) return { from: new Date(from).toISOString(), to: new Date(end).toISOString() }
  const earliest = Math.max(
    meter.created_at.getTime() - LATEST_DAYS * DAY_MS,
    end - LONGEST_DAYS[windowSize ?? 'MONTH'] * DAY_MS,
  )
  const start = Math.min(Math.floor(earliest / MINUTE_MS) * MINUTE_MS, end - MINUTE_MS)
  return { from: new Date(start).toISOString(), to: new Date(end).toISOString() }
}

async function ask(reference: string, asked: Question): Promise<UsageSeries['data']> {
  const meter = await getMeter(reference)
  const customers = await findCustomers(asked)
  const conditions = Object.entries(asked.filterGroupBy).map(
    ([property, value]): FilterCondition => ({ property, operator: 'in', value }),
  )
  // Naming subjects splits by them as well.
  const names = asked.groupBy.map((name) => (name === 'subject' || name === 'customer_id' ? 'customer' : name))
  if (asked.subject !== undefined) names.push('customer')
  const input = parseInput(usageQueryInput, {
    ...rangeOf(asked, meter),
    ...(asked.windowSize ? { window: asked.windowSize } : {}),
    time_zone: asked.windowTimeZone,
    customer: customers ?? [],
    group_by: [...new Set(names)],
    ...(conditions.length > 0 ? { filter: { and: conditions } } : {}),
  })
  const { data } = await queryUsage(meter.id, input)
  return customers?.length === 0 ? [] : data.filter(({ events, value }) => events > 0 && value !== null)
}

async function answer(reference: string, asked: Question): Promise<Response> {
  const data = await ask(reference, asked)
  const { from, to, windowSize } = asked
  return ApiResponse.success({
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(windowSize === undefined ? {} : { windowSize }),
    data: data.map((row) => ({
      value: Number(row.value),
      windowStart: row.window_start,
      windowEnd: row.window_end,
      subject: row.customer?.external_id ?? null,
      ...(row.customer ? { customerId: row.customer.id } : {}),
      groupBy: row.group ?? {},
    })),
  })
}

const READ = { permission: 'usage:read' } as const
const byParameters = openMeterRoute(
  async (request, { params }) => answer(params.meter ?? '', readQuestion(request)),
  READ,
)
const byBody = openMeterRoute(
  async (request, { params }) => answer(params.meter ?? '', await readExact(request, question)),
  READ,
)
const groupValues = openMeterRoute(async (request, { params }) => {
  const asked = readQuestion(request)
  const group = params.group ?? ''
  const from = asked.from ?? new Date(Date.now() - DAY_MS).toISOString()
  const data = await ask(params.meter ?? '', { ...asked, from, groupBy: [group] })
  const values = data.map((row) => (group === 'subject' ? row.customer?.external_id : row.group?.[group]))
  return ApiResponse.success([...new Set(values.filter((value) => value !== null && value !== undefined))])
}, READ)

export const QUERY_PATHS = [
  ['GET', 'v1/meters/{meter}/query', byParameters],
  ['POST', 'v1/meters/{meter}/query', byBody],
  ['GET', 'v1/meters/{meter}/group-by/{group}/values', groupValues],
] as const
