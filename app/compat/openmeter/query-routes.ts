import {
  findManyNamed,
  isToldBySubject,
  querySubjectUsage,
} from '@/features/compatibility/services/subject-usage-service'
import { getMeter } from '@/features/meters/services/meter-service'
import { queryUsage } from '@/features/usage-tracking/services/usage-query-service'
import { parseInput } from '@/libs/api-utils/read-json'
import { ApiResponse } from '@/libs/api-utils/tenant-api-wrapper'
import { escapeFormula, quantityCell } from '@/libs/csv-cell'
import { CSV_TYPE, toCsv } from '@/libs/csv-file'
import { usageQueryInput } from '@/libs/metering/usage-query'
import { findNamedIds } from './customer-names'
import { SUBJECT_PROPERTY } from './event-shape'
import { openMeterRoute, readExact } from './openmeter-route'
import { DAY_MS, windowOf } from './periods'
import { filterOf, type Question, question, rangeOf, readQuestion } from './query-question'

/** Ids of the customers that are there, by subject or id; null for all. */
async function findCustomers({ subject, filterCustomerId }: Question): Promise<string[] | null> {
  if (subject === undefined && filterCustomerId === undefined) return null
  // Who never used anything has no usage.
  const [bySubject, byId] = await Promise.all([subject, filterCustomerId].map(findNamedIds))
  return bySubject && byId ? bySubject.filter((id) => byId.includes(id)) : (bySubject ?? byId ?? [])
}

/** Naming subjects splits by them as well. */
const splitsBySubject = ({ subject, groupBy }: Question): boolean =>
  subject !== undefined || groupBy.includes('subject')

type Row = {
  value: number
  windowStart: string
  windowEnd: string
  subject: string | null
  customerId?: string
  groupBy: Record<string, string | null>
}

async function ask(reference: string, asked: Question): Promise<Row[]> {
  const meter = await getMeter(reference)
  const customers = await findCustomers(asked)
  const filter = filterOf(asked)
  const bySubject = splitsBySubject(asked)
  const byCustomer = bySubject || asked.groupBy.includes('customer_id')
  const groups = [...new Set(asked.groupBy.filter((name) => name !== 'subject' && name !== 'customer_id'))]
  const input = parseInput(usageQueryInput, {
    ...(await rangeOf(asked, meter)),
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
  if (CSV.test(request.headers.get('accept') ?? '')) return asCsv(data, asked)
  const { from, to, windowSize } = asked
  return ApiResponse.success({
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(windowSize === undefined ? {} : { windowSize }),
    data,
  })
}

function asCsv(data: readonly Row[], asked: Question): Response {
  const groups = [...new Set(asked.groupBy)].filter((group) => group !== 'subject')
  const bySubject = splitsBySubject(asked)
  const head = ['window_start', 'window_end', ...(bySubject ? ['subject'] : []), ...groups.map(escapeFormula), 'value']
  const lines = data.map((row) => [
    row.windowStart,
    row.windowEnd,
    ...(bySubject ? [escapeFormula(row.subject ?? '')] : []),
    ...groups.map((group) => escapeFormula((group === 'customer_id' ? row.customerId : row.groupBy[group]) ?? '')),
    quantityCell(row.value),
  ])
  return new Response(toCsv([head, ...lines], { record_delimiter: 'unix' }), { headers: { 'content-type': CSV_TYPE } })
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
  const values = data.map(({ subject, customerId, groupBy }) =>
    group === 'subject' ? subject : group === 'customer_id' ? customerId : groupBy[group],
  )
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
