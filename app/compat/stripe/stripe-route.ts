import { z } from 'zod'
import { parseFields, readForm } from '@/libs/api-utils/read-form'
import { parseInput, parseJson, readBody } from '@/libs/api-utils/read-json'
import type { RouteHandler } from '@/libs/api-utils/route-handler'
import { type TenantHandler, type TenantRouteOptions, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'
import { cutText } from '@/libs/cut-text'
import { AppError, type InputError } from '@/libs/errors'

type Problem = {
  status: number
  detail: string
  code: string
  request_id: string
  errors?: InputError[]
  stripe_code?: string
  stripe_param?: string
}

/** Names of ours that the wire has other words for. */
const WORDS = new Map(
  Object.entries({
    event_type: 'event_name',
    from: 'start_time',
    name: 'display_name',
    time_zone: 'value_grouping_window',
    to: 'end_time',
    window: 'value_grouping_window',
  }),
)
/** Codes the client knows by other numbers; it repeats what is answered with 409. */
const STATUS: Readonly<Record<number, number>> = { 402: 403, 409: 400, 413: 400, 415: 400, 422: 400, 423: 403 }
const CODES: Readonly<Record<string, string>> = {
  not_found: 'resource_missing',
  conflict: 'resource_already_exists',
  rate_limited: 'rate_limit',
}
const BASIC = /^Basic ([A-Za-z0-9+/]+={0,2})$/i

/**
 * A route of the Stripe wire: an ordinary route of a tenant whose secret key is one of our API keys (bearer, or the user
 * of a basic credential); problem documents become `{error: {type, code, message, param}}`.
 */
export function stripeRoute(handler: TenantHandler, options: TenantRouteOptions = {}): RouteHandler {
  const route = withTenantAuth(handler, options)
  return async (request, args) => translate(await route(withBearer(request), args))
}

/** The key of a basic credential as a bearer. What is wrong with the body is for who reads it to say. */
function withBearer(request: Request): Request {
  const credential = BASIC.exec(request.headers.get('authorization') ?? '')?.[1]
  if (credential === undefined) return request
  const [key = ''] = Buffer.from(credential, 'base64').toString('latin1').split(':')
  if (!/^[\x21-\x7e]+$/.test(key)) return request
  const authorization = `Bearer ${key}`
  // The ingest process hands over what only looks like a Request.
  const isWhole: boolean = request instanceof Request
  if (isWhole) {
    const headers = new Headers(request.headers)
    headers.set('authorization', authorization)
    const { url, method, body } = request
    return new Request(url, { method, headers, ...(body ? { body, duplex: 'half' } : {}) })
  }
  const { headers } = request
  const get = (name: string) => (name.toLowerCase() === 'authorization' ? authorization : headers.get(name))
  return Object.create(request, { headers: { value: Object.create(headers, { get: { value: get } }) } })
}

async function translate(response: Response): Promise<Response> {
  const headers = new Headers(response.headers)
  headers.set('request-id', headers.get('x-request-id') ?? '')
  if (response.status < 400) return new Response(await response.text(), { status: response.status, headers })
  const { code, detail, errors, stripe_code, stripe_param, ...problem }: Problem = JSON.parse(await response.text())
  const [first] = errors ?? []
  const param = first ? toParam(first.pointer) : stripe_param
  // Another request with the same key is still under way: that alone is worth repeating.
  const inUse = code === 'conflict' && headers.has('retry-after')
  const status = inUse ? 409 : (STATUS[problem.status] ?? problem.status)
  const error = {
    type: typeOf(status, code, inUse),
    code: stripe_code ?? (inUse ? 'idempotency_key_in_use' : (CODES[code] ?? (first ? codeOf(first) : code))),
    message: first ? `${param || 'The request'}: ${first.detail}` : detail,
    ...(param ? { param } : {}),
  }
  headers.set('content-type', 'application/json')
  return new Response(JSON.stringify({ error }), { status, headers })
}

function typeOf(status: number, code: string, inUse: boolean): string {
  if (inUse || code === 'idempotency_mismatch') return 'idempotency_error'
  return status >= 500 ? 'api_error' : 'invalid_request_error'
}

function codeOf({ detail }: InputError): string {
  if (detail === 'is not a known field') return 'parameter_unknown'
  return /^is needed/.test(detail) ? 'parameter_missing' : 'parameter_invalid'
}

function toParam(pointer: string): string {
  const parts = pointer.split('/').slice(1)
  const [first = '', ...rest] = parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  return [WORDS.get(first) ?? first, ...rest.map((part) => `[${part}]`)].join('')
}

/** Input that is refused as the wire does, by parameter and code. */
export function refuse(pointer: string, detail: string, code?: string): AppError {
  return new AppError('invalid_input', `Check ${pointer}.`, {
    errors: [{ pointer, detail }],
    ...(code === undefined ? {} : { extra: { stripe_code: code } }),
  })
}

/** The answer for what is not there, in the words of the wire. */
export function missing(what: string, id: string): AppError {
  return new AppError('not_found', `No such ${what}: '${cutText(id, 255)}'`, { extra: { stripe_param: 'id' } })
}

/** What every call may carry and nothing depends on. */
function withoutExpand(fields: Record<string, unknown>): Record<string, unknown> {
  const { expand: _expand, tenant: _tenant, ...rest } = fields
  return rest
}

/** The form of a request, checked. @throws AppError as readForm and parseInput. */
export async function readFields<S extends z.ZodType>(request: Request, schema: S): Promise<z.infer<S>> {
  return parseInput(schema, withoutExpand(await readForm(request)))
}

/** The JSON of a request of the second version, checked. @throws AppError as readBody, parseJson and parseInput. */
export async function readJsonFields<S extends z.ZodType>(request: Request, schema: S): Promise<z.infer<S>> {
  return parseInput(schema, parseJson(await readBody(request), { verbatim: true }))
}

/** The query of a request, checked. @throws AppError as parseFields and parseInput, bad_request for a page in both directions. */
export function readQueryFields<S extends z.ZodType>(request: Request, schema: S): z.infer<S> {
  const fields = withoutExpand(parseFields(new URL(request.url).searchParams))
  if (fields.starting_after !== undefined && fields.ending_before !== undefined)
    throw new AppError('bad_request', 'Both starting_after and ending_before were sent; send only one of them.')
  return parseInput(schema, fields)
}

/** Whether a request was made with a live key. */
export function isLive(request: Request): boolean {
  return !/ hf_test_/.test(request.headers.get('authorization') ?? '')
}

/** A moment in whole seconds since 1970. */
export const toSeconds = (at: Date | string): number => Math.floor(new Date(at).getTime() / 1_000)

/** A moment as the wire sends it. */
export const seconds = z
  .string({
    error: ({ input }) => (input === undefined ? 'is needed: seconds since 1970' : 'must be seconds since 1970'),
  })
  .regex(/^\d{1,12}$/, 'must be seconds since 1970')
  .transform(Number)
  .refine((at) => at <= 253_402_300_799, 'must be seconds since 1970')

/** What pages are asked for with. */
export const paging = {
  limit: z.coerce.number().int().min(1).max(100).default(10),
  starting_after: z.string().max(255).optional(),
  ending_before: z.string().max(255).optional(),
}

type Paging = { limit: number; starting_after?: string | undefined; ending_before?: string | undefined }

/** One page of a list that is whole, by the ids the wire pages by. @throws AppError invalid_input for an id that is not there. */
export function toList<Row extends { id: string }>(rows: readonly Row[], url: string, paging: Paging) {
  const { limit, starting_after, ending_before } = paging
  const placeOf = (id: string, pointer: string): number => {
    const place = rows.findIndex((row) => row.id === id)
    if (place < 0) throw refuse(pointer, 'is not in this list', 'resource_missing')
    return place
  }
  if (ending_before !== undefined) {
    const end = placeOf(ending_before, '/ending_before')
    const start = Math.max(0, end - limit)
    return { object: 'list', url, has_more: start > 0, data: rows.slice(start, end) }
  }
  const start = starting_after === undefined ? 0 : placeOf(starting_after, '/starting_after') + 1
  return { object: 'list', url, has_more: start + limit < rows.length, data: rows.slice(start, start + limit) }
}
