import { z } from 'zod'
import {
  findManyNamed,
  isToldBySubject,
  querySubjectUsage,
} from '@/features/compatibility/services/subject-usage-service'
import { getMeter, type MeterRow } from '@/features/meters/services/meter-service'
import { queryUsage } from '@/features/usage-tracking/services/usage-query-service'
import { parseInput, parseJson } from '@/libs/api-utils/read-json'
import { ApiResponse } from '@/libs/api-utils/tenant-api-wrapper'
import { invalidInput } from '@/libs/errors'
import type { FilterCondition, MeterFilter } from '@/libs/metering/meter-filter'
import { usageQueryInput } from '@/libs/metering/usage-query'
import { findNamedCustomer } from './customer-names'
import { SUBJECT_PROPERTY } from './event-shape'
import { filterString, toMeterFilter } from './filter-string'
import { openMeterRoute, readExact, readParameters } from './openmeter-route'
import { windowOf } from './periods'

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
  advancedMeterGroupByFilters: z.record(z.string(), filterString).default({}),
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
    else if (name === 'advancedMeterGroupByFilters') values[name] = readFilters(value)
    else if (name !== 'tenant') values[name] = value
  }
  return parseInput(question, { ...values, filterGroupBy: filter })
}

function readFilters(text: string): unknown {
  try {
    return parseJson(text, { verbatim: true })
  } catch {
    throw invalidInput('/advancedMeterGroupByFilters', 'must be the text of JSON')
  }
}

/** Ids of the customers that are there, by subject or id; null for all. */
async function findCustomers({ subject, filterCustomerId }: Question): Promise<string[] | null> {
  if (subject === undefined && filterCustomerId === undefined) return null
  const [bySubject, byId] = await Promise.all([subject, filterCustomerId].map(idsOf))
  return bySubject && byId ? bySubject.filter((id) => byId.includes(id)) : (bySubject ?? byId ?? [])
}

/** Who never used anything has no usage. */
async function idsOf(references: readonly string[] | undefined): Promise<string[] | null> {
  if (references === undefined) return null
  const ids: string[] = []
  for (const reference of new Set(references)) {
    const row = await findNamedCustomer(reference)
    if (row) ids.push(row.id)
  }
  return [...new Set(ids)]
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

type Row = {
  value: number
  windowStart: string
  windowEnd: string
  subject: string | null
  customerId?: string
  groupBy: Record<string, string | null>
}

function filterOf({ filterGroupBy, advancedMeterGroupByFilters }: Question): MeterFilter | null {
  const parts: MeterFilter[] = Object.entries(filterGroupBy).map(
    ([property, value]): FilterCondition => ({ property, operator: 'in', value }),
  )
  for (const [property, asked] of Object.entries(advancedMeterGroupByFilters)) {
    const filter = toMeterFilter(property, asked)
    if (filter && 'impossible' in filter)
      throw invalidInput(
        `/advancedMeterGroupByFilters/${property}/${filter.impossible}`,
        'cannot be asked of a meter here',
      )
    if (filter) parts.push(filter)
  }
  const [only] = parts
  return parts.length > 1 ? { and: parts } : (only ?? null)
}

async function ask(reference: string, asked: Question): Promise<Row[]> {
  const meter = await getMeter(reference)
  const customers = await findCustomers(asked)
  const filter = filterOf(asked)
  // Naming subjects splits by them as well.
  const bySubject = asked.subject !== undefined || asked.groupBy.includes('subject')
  const byCustomer = bySubject || asked.groupBy.includes('customer_id')
  const groups = [...new Set(asked.groupBy.filter((name) => name !== 'subject' && name !== 'customer_id'))]
  const input = parseInput(usageQueryInput, {
    ...rangeOf(asked, meter),
    ...(asked.windowSize ? { window: asked.windowSize } : {}),
    time_zone: asked.windowTimeZone,
    customer: customers ?? [],
    group_by: byCustomer ? [...groups, 'customer'] : groups,
    ...(filter ? { filter } : {}),
  })
  const { data, from, to, window, time_zone } = await queryUsage(meter.id, input)
  if (customers?.length === 0) return []
  const many = bySubject && isToldBySubject(meter.aggregation) ? await findManyNamed(customers) : []
  const rows = data
    .filter(({ events, value, customer }) => events > 0 && value !== null && !many.includes(customer?.id ?? ''))
    .map(
      (row): Row => ({
        value: Number(row.value),
        windowStart: row.window_start,
        windowEnd: row.window_end,
        subject: bySubject ? (row.customer?.external_id ?? null) : null,
        ...(row.customer ? { customerId: row.customer.id } : {}),
        groupBy: row.group ?? {},
      }),
    )
  const whole = (list: Row[]) => (asked.windowSize ? list.map((row) => inWhole(row, asked, { from, to })) : list)
  if (many.length === 0) return whole(rows)
  const told = await querySubjectUsage({
    meter,
    customers: many,
    subjects: asked.subject ?? null,
    property: SUBJECT_PROPERTY,
    from,
    to,
    window,
    time_zone,
    group_by: groups,
    filter,
  })
  const all = [
    ...rows,
    ...told.map(
      (row): Row => ({
        value: Number(row.value),
        windowStart: row.window_start,
        windowEnd: row.window_end,
        subject: row.subject,
        customerId: row.customer_id,
        groupBy: row.group,
      }),
    ),
  ].sort((a, b) => (a.windowStart < b.windowStart ? -1 : a.windowStart > b.windowStart ? 1 : 0))
  return whole(all)
}

/** The first and last window of a range are told as whole ones, however much of them was asked for. */
function inWhole(row: Row, { windowSize, windowTimeZone }: Question, range: { from: string; to: string }): Row {
  if (!windowSize || (row.windowStart !== range.from && row.windowEnd !== range.to)) return row
  const { from, to } = windowOf(new Date(row.windowStart), windowSize, windowTimeZone)
  return { ...row, windowStart: from.toISOString(), windowEnd: to.toISOString() }
}

const CSV = /\btext\/csv\b/

async function answer(request: Request, reference: string, asked: Question): Promise<Response> {
  const data = await ask(reference, asked)
  if (CSV.test(request.headers.get('accept') ?? '')) return asCsv(data)
  const { from, to, windowSize } = asked
  return ApiResponse.success({
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(windowSize === undefined ? {} : { windowSize }),
    data,
  })
}

/** Text that no spreadsheet takes for a formula, quoted where it must be. */
function toCell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

function asCsv(data: readonly Row[]): Response {
  const groups = [...new Set(data.flatMap(({ groupBy }) => Object.keys(groupBy)))]
  const bySubject = data.some(({ subject }) => subject !== null)
  const lines = [
    ['window_start', 'window_end', ...(bySubject ? ['subject'] : []), ...groups.map(toCell), 'value'],
    ...data.map((row) => [
      row.windowStart,
      row.windowEnd,
      ...(bySubject ? [toCell(row.subject ?? '')] : []),
      ...groups.map((group) => toCell(row.groupBy[group] ?? '')),
      String(row.value),
    ]),
  ]
  const text = lines.map((line) => line.join(',')).join('\n')
  return new Response(`${text}\n`, { status: 200, headers: { 'content-type': 'text/csv; charset=utf-8' } })
}

const READ = { permission: 'usage:read' } as const
const byParameters = openMeterRoute(
  async (request, { params }) => answer(request, params.meter ?? '', readQuestion(request)),
  READ,
)
const byBody = openMeterRoute(
  async (request, { params }) => answer(request, params.meter ?? '', await readExact(request, question)),
  READ,
)
const groupValues = openMeterRoute(async (request, { params }) => {
  const asked = readQuestion(request)
  const group = params.group ?? ''
  const from = asked.from ?? new Date(Date.now() - DAY_MS).toISOString()
  const data = await ask(params.meter ?? '', { ...asked, from, groupBy: [group] })
  const values = data.map((row) => (group === 'subject' ? row.subject : row.groupBy[group]))
  return ApiResponse.success([...new Set(values.filter((value) => value !== null && value !== undefined))])
}, READ)
const subjects = openMeterRoute(async (request, { params }) => {
  const data = await ask(params.meter ?? '', { ...readQuestion(request), groupBy: ['subject'] })
  return ApiResponse.success([...new Set(data.map(({ subject }) => subject))].sort())
}, READ)

export const QUERY_PATHS = [
  ['GET', 'v1/meters/{meter}/query', byParameters],
  ['POST', 'v1/meters/{meter}/query', byBody],
  ['GET', 'v1/meters/{meter}/subjects', subjects],
  ['GET', 'v1/meters/{meter}/group-by/{group}/values', groupValues],
] as const
