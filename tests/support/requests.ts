import type { RouteHandler } from '@/libs/api-utils/route-handler'
import { sessionCookieFor, type TestUser, tokenFor } from './tokens'

export type RequestOptions = {
  /** Who asks: a user (bearer token), an API key or ready-made token as text, nobody when left out. */
  as?: TestUser | string
  /** Send a user's token as a session cookie of the same origin, like a browser. */
  cookie?: boolean
  /** Names the tenant in X-Tenant-ID. */
  tenant?: { id: string } | string
  /** Host header; default `app.localhost:3000`. A portal is `<slug>.localhost:3000`. */
  host?: string
  /** A text goes out as it is, anything else as JSON. */
  body?: unknown
  headers?: Record<string, string>
  /** Path parameters, as Next hands them to the route. */
  params?: Record<string, string>
}

/** What a route answered; `body` is parsed where it is JSON, else the text. */
export type Answer = { status: number; headers: Headers; text: string; body: ReturnType<typeof JSON.parse> }

/** A request as a client would send it. */
export async function request(method: string, path: string, options: RequestOptions = {}): Promise<Request> {
  const host = options.host ?? 'app.localhost:3000'
  const headers = new Headers({ host, ...options.headers })
  const { as, tenant, body } = options
  if (tenant && !headers.has('x-tenant-id')) headers.set('x-tenant-id', typeof tenant === 'string' ? tenant : tenant.id)
  if (typeof as === 'string') headers.set('authorization', `Bearer ${as}`)
  else if (as && options.cookie) {
    headers.set('cookie', await sessionCookieFor(as))
    if (!headers.has('origin') && !headers.has('sec-fetch-site')) headers.set('sec-fetch-site', 'same-origin')
  } else if (as) headers.set('authorization', `Bearer ${await tokenFor(as)}`)
  if (body !== undefined && !headers.has('content-type')) headers.set('content-type', 'application/json')
  const raw = body === undefined || isRaw(body) ? body : JSON.stringify(body)
  return new Request(`http://${host}${path}`, { method, headers, ...(raw === undefined ? {} : { body: raw }) })
}

function isRaw(body: unknown): body is string | Uint8Array<ArrayBuffer> {
  return typeof body === 'string' || body instanceof Uint8Array
}

/**
 * Calls a route handler and reads its answer.
 * @example const { status, body } = await call(GET, 'GET', '/api/v1/meters', { as: acme.users.admin, tenant: acme })
 */
export async function call(
  handler: RouteHandler,
  method: string,
  path: string,
  options: RequestOptions = {},
): Promise<Answer> {
  return read(await handler(await request(method, path, options), { params: Promise.resolve(options.params ?? {}) }))
}

/** Status, headers and content of a response. */
export async function read(response: Response): Promise<Answer> {
  const text = await response.text()
  const isJson = /json/.test(response.headers.get('content-type') ?? '')
  return { status: response.status, headers: response.headers, text, body: isJson && text ? JSON.parse(text) : text }
}
