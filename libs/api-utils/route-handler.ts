import { log } from '@/libs/log'
import { countRequest } from '@/libs/metering/metric-accumulator'
import { problemResponse, toAppError } from './problem'
import { type RequestFacts, readFacts } from './request-facts'

/** What Next hands to a route: its path parameters. */
export type RouteArguments = { params?: Promise<Record<string, string | string[] | undefined>> }
export type RouteHandler = (request: Request, route?: RouteArguments) => Promise<Response>
export type RouteParams = Record<string, string>

/** Facts of who was answered, filled in as they become known, for the one log line of a request. */
export type RequestTrace = { tenant?: string; actor?: string }

/** The path parameters of a route as texts. */
export async function readParams(route: RouteArguments | undefined): Promise<RouteParams> {
  if (!route?.params) return {}
  const entries = Object.entries(await route.params)
  return Object.fromEntries(
    entries.map(([name, value]) => [name, Array.isArray(value) ? value.join('/') : (value ?? '')]),
  )
}

/**
 * The outermost layer of every route: gives the request its id, turns whatever is thrown into a problem document,
 * forbids caching and writes one log line.
 */
export async function answer(
  request: Request,
  run: (facts: RequestFacts, trace: RequestTrace) => Promise<Response>,
): Promise<Response> {
  const started = performance.now()
  const facts = readFacts(request)
  const trace: RequestTrace = {}
  let response: Response
  try {
    response = await run(facts, trace)
  } catch (error) {
    response = problemResponse(toAppError(error), facts.requestId)
  }
  response.headers.set('x-request-id', facts.requestId)
  if (!response.headers.has('cache-control')) response.headers.set('cache-control', 'private, no-store')
  response.headers.set('x-content-type-options', 'nosniff')
  if (trace.tenant) countRequest(trace.tenant, request, response)
  if (log.isLevelEnabled('info')) {
    log.info(
      {
        request_id: facts.requestId,
        method: request.method,
        path: pathOf(request.url),
        status: response.status,
        ms: Math.round((performance.now() - started) * 10) / 10,
        ...trace,
      },
      'request',
    )
  }
  return response
}

function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('//') + 2)
  const end = url.indexOf('?', start)
  return start < 0 ? '/' : url.slice(start, end < 0 ? undefined : end)
}
