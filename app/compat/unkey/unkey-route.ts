import type { RouteHandler } from '@/libs/api-utils/route-handler'
import { ApiResponse, type TenantRequestContext, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'
import type { Permission } from '@/libs/auth/permissions'
import type { InputError } from '@/libs/errors'

type Problem = {
  type: string
  title: string
  status: number
  detail: string
  request_id: string
  errors?: InputError[]
}
/** What an answer holds besides `meta`. */
export type UnkeyBody = { data: unknown; pagination?: ReturnType<typeof toPagination> }

/** Where to go on, as the wire says it. */
export function toPagination(cursor: string | null): { cursor?: string; hasMore: boolean } {
  return cursor === null ? { hasMore: false } : { cursor, hasMore: true }
}

type Options = { permission?: Permission; transaction?: 'request' | 'none' | 'keyed' }

/** Names of ours that the wire has other words for. */
const WORDS = new Map(
  Object.entries({
    expires_at: 'expires',
    remaining: 'credits.remaining',
    refill: 'credits.refill',
    duration_ms: 'duration',
  }),
)
/** Codes the client knows by other numbers: what is wrong with the input is 400 there. */
const STATUS: Readonly<Record<number, number>> = { 402: 403, 422: 400, 423: 403 }

/**
 * A route of the Unkey wire: an ordinary route of a tenant whose root key is one of our API keys, answered as
 * `{meta: {requestId}, …}`; problem documents become `{meta, error: {title, detail, status, type}}`.
 */
export function unkeyRoute(
  handler: (request: Request, context: TenantRequestContext) => Promise<UnkeyBody>,
  options: Options = {},
): RouteHandler {
  const route = withTenantAuth(
    async (request, context) =>
      ApiResponse.success({ meta: { requestId: context.requestId }, ...(await handler(request, context)) }),
    options,
  )
  return async (request) => translate(await route(request))
}

async function translate(response: Response): Promise<Response> {
  if (response.status < 400) return response
  const { type, title, detail, request_id, errors, ...problem }: Problem = JSON.parse(await response.text())
  const status = STATUS[problem.status] ?? problem.status
  const wrong = errors?.map(toUnkeyError)
  const error = {
    title,
    detail: wrong ? wrong.map(({ location, message }) => `${location}: ${message}`).join('; ') : detail,
    status,
    type,
    // The client reads them of every 400.
    ...(status === 400 ? { errors: wrong ?? [] } : {}),
  }
  const headers: [string, string][] = [...response.headers].filter(([name]) => name !== 'content-type')
  headers.push(['content-type', status === 429 ? 'application/problem+json' : 'application/json'])
  return new Response(JSON.stringify({ meta: { requestId: request_id }, error }), { status, headers })
}

function toUnkeyError({ pointer, detail }: InputError): { location: string; message: string } {
  const parts = pointer
    .replace(/^\/(change|patch)(?=\/)/, '')
    .split('/')
    .slice(1)
    .map((part) => WORDS.get(part) ?? part.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()))
  return { location: ['body', ...parts].join('.'), message: detail }
}
