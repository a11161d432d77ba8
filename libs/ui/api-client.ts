import { describeError } from '@/libs/errors'
import { parseExactly } from '@/libs/ingest/exact-number'
import { t } from '@/libs/ui/messages'

/** One page of a list of the API. */
export type Page<Row> = { data: Row[]; next_cursor: string | null }

/** What is wrong with one value; `pointer` is a JSON pointer into the request body, such as `/usage_caps/0/limit`. */
export type FieldProblem = { pointer: string; detail: string; code?: string }

/** The way out of a plan limit: why, on which plan one is, and the plans that would do. */
export type Upgrade = { reason: string; current_plan: string; plans: string[] }

type ProblemBody = {
  status?: number
  code?: string
  title?: string
  detail?: string
  request_id?: string
  errors?: Array<{ pointer?: string; detail?: string; message?: string; code?: string }>
  upgrade?: Upgrade
}

/**
 * An answer of the API that is not a success (RFC 9457), or none at all: `status` 0 and code `network` when the
 * server was not reached, code `aborted` when the caller gave up.
 */
export class ApiProblem extends Error {
  readonly status: number
  readonly code: string
  readonly title: string
  readonly detail: string
  readonly errors: FieldProblem[]
  readonly request_id: string | null
  readonly upgrade: Upgrade | null
  /** Seconds until another try makes sense, from `Retry-After`. */
  readonly retry_after: number | null

  constructor(status: number, body: ProblemBody, headers?: Headers) {
    super(body.detail ?? body.title ?? `HTTP ${status}`)
    this.name = 'ApiProblem'
    this.status = status
    this.code = body.code ?? `http_${status}`
    this.title = body.title ?? 'The request failed'
    this.detail = body.detail ?? this.title
    this.errors = (body.errors ?? []).map((error) => ({
      pointer: error.pointer ?? '',
      detail: error.detail ?? error.message ?? '',
      ...(error.code ? { code: error.code } : {}),
    }))
    this.request_id = body.request_id ?? headers?.get('x-request-id') ?? null
    this.upgrade = body.upgrade ?? null
    const wait = Number(headers?.get('retry-after'))
    this.retry_after = Number.isFinite(wait) && wait > 0 ? wait : null
  }
}

/** The sentence for a person: the detail of a problem, or of any other error its message. */
export function describeProblem(error: unknown): string {
  if (error instanceof ApiProblem) return error.detail
  return describeError(error)
}

/** Whatever a call ended in, as a problem; an error of this page itself has the code `client`. */
export function toProblem(error: unknown): ApiProblem {
  return error instanceof ApiProblem ? error : new ApiProblem(0, { code: 'client', detail: String(error) })
}

/** The server gives up on a statement after half of this; an answer that has not come by then will not. */
const PATIENCE_MS = 60_000

/** The code of a problem that signing in again would solve. */
export const SIGNED_OUT = 'signed_out'

export type ApiMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export type ApiFetchOptions = {
  method?: ApiMethod
  /** Sent as JSON. */
  body?: unknown
  /** Made afresh for every unsafe call unless given; give the same one to repeat a call whose answer was lost. */
  idempotencyKey?: string
  signal?: AbortSignal
  headers?: Record<string, string>
}

/** A path of the API (`/customers?limit=20`) as an address on this host. */
export function apiUrl(path: string): string {
  return path.startsWith('/api/') ? path : `/api/v1${path}`
}

/** The text of an answer as an object; anything else (an HTML page of a proxy) counts as empty. */
function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

const watchers = new Set<(problem: ApiProblem, path: string) => void>()

/** Tells `watcher` of every problem that a call of this page ends in, whoever made the call. Gives the way to stop. */
export function watchProblems(watcher: (problem: ApiProblem, path: string) => void): () => void {
  watchers.add(watcher)
  return () => {
    watchers.delete(watcher)
  }
}

function told(problem: ApiProblem, path: string): ApiProblem {
  for (const watcher of watchers) watcher(problem, path)
  return problem
}

/**
 * Calls our own API with the session of the browser and gives the parsed answer (undefined for 204).
 * Sends JSON and, on unsafe methods, an `Idempotency-Key`. Retries nothing.
 * @throws ApiProblem for every answer of 400 and above, and when there is no answer.
 */
export async function apiFetch<T>(path: string, options: ApiFetchOptions = {}): Promise<T> {
  const method = options.method ?? 'GET'
  const headers = new Headers({ accept: 'application/json', ...options.headers })
  if (options.body !== undefined) headers.set('content-type', 'application/json')
  if (method !== 'GET') headers.set('idempotency-key', options.idempotencyKey ?? newIdempotencyKey())
  let response: Response
  let text: string
  const given = new AbortController()
  const patience = setTimeout(() => given.abort(), PATIENCE_MS)
  try {
    response = await fetch(apiUrl(path), {
      method,
      headers,
      body: options.body === undefined ? null : JSON.stringify(options.body),
      credentials: 'same-origin',
      cache: 'no-store',
      signal: options.signal ? AbortSignal.any([options.signal, given.signal]) : given.signal,
    })
    text = await response.text()
  } catch {
    if (options.signal?.aborted) throw new ApiProblem(0, { code: 'aborted', title: 'Cancelled' })
    // What a browser says here (“Failed to fetch”) helps nobody.
    const detail = 'The server was not reached. See to the connection and try again.'
    throw told(new ApiProblem(0, { code: 'network', title: 'The server was not reached', detail }), path)
  } finally {
    clearTimeout(patience)
  }
  if (!response.ok) {
    const body: ProblemBody = parseObject(text)
    // The words of the API are for programs. Signing in has words of its own.
    const out = response.status === 401 && !path.startsWith('/api/auth/')
    if (out) Object.assign(body, { code: SIGNED_OUT, detail: t('ui.error.signedOut') })
    throw told(new ApiProblem(response.status, body, response.headers), path)
  }
  return (text === '' ? undefined : parseExactly(text)) as T
}

/** A key that makes the repetition of one call harmless. Works on plain http too, where randomUUID is missing. */
export function newIdempotencyKey(): string {
  if (typeof crypto.randomUUID === 'function') return crypto.randomUUID()
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/**
 * A query string from values; what is empty is left out, lists are joined by commas.
 * @example toQuery({ q: 'ada', status: ['active', 'suspended'], cursor: null }) // '?q=ada&status=active%2Csuspended'
 */
export function toQuery(
  values: Readonly<Record<string, string | number | boolean | readonly string[] | null | undefined>>,
): string {
  const params = new URLSearchParams()
  for (const [key, value] of Object.entries(values)) {
    const text = Array.isArray(value) ? value.join(',') : String(value ?? '')
    if (text !== '') params.set(key, text)
  }
  const text = params.toString()
  return text ? `?${text}` : ''
}

/** All pages of a list as one; `ask` reads the page at a path. @throws whatever `ask` does. */
export async function readWhole<Row>(path: string, ask: (path: string) => Promise<Page<Row>>): Promise<Page<Row>> {
  const data: Row[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: Page<Row> = await ask(
      cursor === '' ? path : `${path}${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(cursor)}`,
    )
    data.push(...page.data)
    cursor = page.next_cursor
  }
  return { data, next_cursor: null }
}
