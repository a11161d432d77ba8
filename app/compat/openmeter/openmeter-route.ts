import type { z } from 'zod'
import { parseInput, parseJson, readBody } from '@/libs/api-utils/read-json'
import type { RouteHandler } from '@/libs/api-utils/route-handler'
import { type TenantHandler, type TenantRouteOptions, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'
import { AppError, type InputError, invalidInput } from '@/libs/errors'

type Problem = { status: number; detail: string; code: string; request_id: string; errors?: InputError[] }

/** Names of ours that the wire has other words for. */
const WORDS = new Map(
  Object.entries({
    customer: 'subject',
    email: 'primaryEmail',
    expires_at: 'expiration',
    external_id: 'key',
    filter: 'filterGroupBy',
    meter: 'meterSlug',
    period: 'usagePeriod/interval',
    time_zone: 'windowTimeZone',
    window: 'windowSize',
  }),
)
/** Codes the client knows by other numbers: what is wrong with the input is 400 there. */
const STATUS: Readonly<Record<number, number>> = { 402: 403, 422: 400, 423: 403 }

/**
 * A route of the OpenMeter wire: an ordinary route of a tenant, whose problem documents say in one text what is wrong where. `own` are
 * names that mean here what they say.
 */
export function openMeterRoute(
  handler: TenantHandler,
  options: TenantRouteOptions = {},
  own: readonly string[] = [],
): RouteHandler {
  const route = withTenantAuth(handler, options)
  return async (request, args) => translate(await route(request, args), own)
}

/** Names that mean another thing in a list. */
const WORDS_OF_TERMS = new Map(Object.entries({ limit: 'issueAfterReset' }))

/** What is wrong with the terms of an entitlement, by the names they were sent under. */
export function inTerms<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof AppError) || !error.details.errors) throw error
    const errors = error.details.errors.map(({ pointer, detail }) => ({
      pointer: pointer
        .split('/')
        .map((part) => WORDS_OF_TERMS.get(part) ?? part)
        .join('/'),
      detail,
    }))
    throw new AppError(error.code, error.message, { ...error.details, errors })
  }
}

async function translate(response: Response, own: readonly string[]): Promise<Response> {
  if (response.status < 400) return response
  const { errors, ...problem }: Problem = JSON.parse(await response.text())
  const status = STATUS[problem.status] ?? problem.status
  const reworded = errors?.map(({ pointer, detail }) => ({ pointer: reword(pointer, own), detail }))
  const detail = reworded
    ? reworded.map((error) => `${error.pointer || 'the body'}: ${error.detail}`).join('; ')
    : problem.detail
  const extensions = reworded && {
    validationErrors: reworded.map((error) => ({ code: problem.code, field: error.pointer, message: error.detail })),
  }
  const body = {
    ...problem,
    status,
    detail,
    instance: `urn:request:${problem.request_id}`,
    ...(reworded ? { errors: reworded, extensions } : {}),
  }
  return new Response(JSON.stringify(body), { status, headers: [...response.headers] })
}

function reword(pointer: string, own: readonly string[]): string {
  const ours = (part: string) =>
    WORDS.get(part) ?? part.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
  return pointer
    .replace(/\/rollover\/(min|max)$/, '/$1RolloverAmount')
    .split('/')
    .map((part) => (own.includes(part) ? part : ours(part)))
    .join('/')
}

/** The body of a request under the names it was sent with, checked. @throws AppError as readJson. */
export async function readExact<S extends z.ZodType>(request: Request, schema: S): Promise<z.infer<S>> {
  return parseInput(schema, parseJson(await readBody(request), { verbatim: true }))
}

/** A parameter that may stand once. */
export function readParameters(request: Request): URLSearchParams {
  const { searchParams } = new URL(request.url)
  for (const [name, value] of searchParams)
    if (`${name}${value}`.includes('\0') || !`${name}${value}`.isWellFormed())
      throw new AppError('bad_request', 'NUL characters and lone surrogates are not allowed.')
  return searchParams
}

/** Where a page of a list begins, and what it is called by. */
export type Paging = { page: number; pageSize: number; offset: number }

/** `page` (1) and `pageSize` (100) of a list, or its `offset` and `limit`. @throws AppError invalid_input. */
export function readPaging(parameters: URLSearchParams): Paging {
  const page = Number(parameters.get('page') ?? 1)
  const pageSize = Number(parameters.get('pageSize') ?? parameters.get('limit') ?? 100)
  const offset = Number(parameters.get('offset') ?? 0)
  if (!Number.isInteger(page) || page < 1 || page > 1_000_000) throw invalidInput('/page', 'must be 1 to 1000000')
  if (!Number.isInteger(pageSize) || pageSize < 1 || pageSize > 1_000)
    throw invalidInput('/pageSize', 'must be 1 to 1000')
  if (!Number.isInteger(offset) || offset < 0 || offset > 1_000_000_000)
    throw invalidInput('/offset', 'must be 0 to 1000000000')
  if (parameters.has('page') || !parameters.has('offset')) return { page, pageSize, offset: (page - 1) * pageSize }
  return { page: Math.floor(offset / pageSize) + 1, pageSize, offset }
}

/** `orderBy`, one of these names, and `order` of a list. @throws AppError invalid_input. */
export function readOrder<Name extends string>(
  parameters: URLSearchParams,
  names: Readonly<Record<string, Name>>,
  otherwise: Name,
): { by: Name; descending: boolean } {
  const asked = parameters.get('orderBy')
  const by = asked === null ? otherwise : Object.hasOwn(names, asked) ? names[asked] : undefined
  if (by === undefined) throw invalidInput('/orderBy', `must be one of ${Object.keys(names).join(', ')}`)
  const order = parameters.get('order') ?? 'ASC'
  if (order !== 'ASC' && order !== 'DESC') throw invalidInput('/order', 'must be ASC or DESC')
  return { by, descending: order === 'DESC' }
}

/** Rows in the order that was asked for; as they are when none was. */
export function inOrder<Row>(
  rows: readonly Row[],
  parameters: URLSearchParams,
  names: Readonly<Record<string, keyof Row & string>>,
): Row[] {
  if (!parameters.has('orderBy') && !parameters.has('order')) return [...rows]
  const first = Object.values(names)[0]
  if (first === undefined) return [...rows]
  const { by, descending } = readOrder(parameters, names, first)
  const sign = descending ? -1 : 1
  return [...rows].sort((a, b) => sign * compare(a[by], b[by]))
}

function compare(a: unknown, b: unknown): number {
  if (a instanceof Date && b instanceof Date) return a.getTime() - b.getTime()
  return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0
}

/** One page of a list that is whole. */
export function pageOfAll<Row>(rows: readonly Row[], { page, pageSize, offset }: Paging) {
  return { totalCount: rows.length, page, pageSize, items: rows.slice(offset, offset + pageSize) }
}

/** The rows from an offset on of a list that is read by number of page: parts of two, where it is not the start of one. */
export async function rowsFrom<Row>(
  { page, pageSize, offset }: Paging,
  read: (page: number) => Promise<{ total: number; data: Row[] }>,
): Promise<{ total: number; data: Row[] }> {
  const { total, data } = await read(page)
  const skipped = offset % pageSize
  if (skipped === 0) return { total, data }
  const next = await read(page + 1)
  return { total, data: [...data.slice(skipped), ...next.data.slice(0, skipped)] }
}
