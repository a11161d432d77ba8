// The hot path on a bare HTTP server: the very handlers that Next mounts, without what a framework costs before they run.
// Any number of these processes may run beside each other; caps and counters are exact in the database.
// SIGTERM takes no more requests, commits what was accepted, answers it, and ends.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { POST as verifyKey } from '@/app/api/v1/customer-keys/verify/route'
import { POST as limit } from '@/app/api/v1/rate-limits/limit/route'
import { POST as check } from '@/app/api/v1/usage/check/route'
import { POST as release } from '@/app/api/v1/usage/release/route'
import { POST as reserve } from '@/app/api/v1/usage/reserve/route'
import { POST as settle } from '@/app/api/v1/usage/settle/route'
import { POST as track } from '@/app/api/v1/usage/track/route'
import { drainWriter } from '@/features/usage-tracking/services/usage-writer'
import { problemResponse } from '@/libs/api-utils/problem'
import type { RouteHandler } from '@/libs/api-utils/route-handler'
import { stopNotifications } from '@/libs/db/notifications'
import { closePools } from '@/libs/db/pools'
import { env } from '@/libs/env'
import { AppError } from '@/libs/errors'
import { checkAtBoot } from '@/libs/health/boot'
import { checkReadiness } from '@/libs/health/readiness'
import { newId } from '@/libs/ids'
import { runShutdown } from '@/libs/jobs/at-shutdown'
import { log } from '@/libs/log'
import { takeOriginForm } from '@/libs/net/origin-form'
import { isWithoutHost, refuseMalformed } from '@/libs/net/refuse-malformed'
import { readTenantPath } from '@/libs/tenancy/host'
import { findCompatRoute, POST_ALONE, toCompatRequest } from './ingest/compat-routes'
import { countUnread, endEarly, readIncoming, toRequest } from './ingest/incoming-request'
import { installSmallResponse } from './ingest/small-response'
import { METHODS, methodNotAllowed, tellMethods } from './web/explain-methods'

const SHUTDOWN_MS = 15_000
/** How long whoever is still sending a request has for the rest of it when the process ends; nothing of it is accepted yet. */
const LAST_UPLOADS_MS = 2_000
const routes = new Map<string, RouteHandler>([
  ['/api/v1/usage/track', track],
  ['/api/v1/usage/check', check],
  ['/api/v1/customer-keys/verify', verifyKey],
  ['/api/v1/rate-limits/limit', limit],
  ['/api/v1/usage/reserve', reserve],
  ['/api/v1/usage/settle', settle],
  ['/api/v1/usage/release', release],
])

let active = 0
let stopping = false

installSmallResponse()
await checkAtBoot()
const { INGEST_PORT, ROOT_DOMAIN, TRUSTED_PROXY_HOPS } = env()
const ELSEWHERE = `There is nothing here: this port takes usage alone. All else, the dashboard and the API, is at app.${ROOT_DOMAIN}.`
// A line for every one of ten thousand requests a second is noise; what fails is logged. LOG_LEVEL=info asks for all.
if (!process.env.LOG_LEVEL) log.level = 'warn'

const server = createServer(
  {
    requestTimeout: 30_000,
    headersTimeout: 10_000,
    connectionsCheckingInterval: 5_000,
    keepAliveTimeout: 65_000,
    maxHeaderSize: 16_384,
    noDelay: true,
    // Of two credentials neither is believed, rather than the first.
    joinDuplicateHeaders: true,
    requireHostHeader: false,
  },
  (incoming, outgoing) => {
    active += 1
    void serve(incoming, outgoing)
  },
)

refuseMalformed(server)

let endOfTurn: Promise<void> | null = null

/**
 * Resolves when what has arrived is read. Answers that are ready leave together then: each one alone would wake whoever
 * waits for it, which on a small machine costs more than the request.
 */
function atEndOfTurn(): Promise<void> {
  endOfTurn ??= new Promise((resolve) => {
    setImmediate(() => {
      endOfTurn = null
      resolve()
    })
  })
  return endOfTurn
}

async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  try {
    const url = takeOriginForm(incoming)
    const mark = url.indexOf('?')
    const pathname = mark < 0 ? url : url.slice(0, mark)
    const response = await answer(incoming, pathname, mark < 0 ? '' : url.slice(mark))
    const text = await response.text()
    // What no route answered says it as well.
    if (!response.headers.has('cache-control')) response.headers.set('cache-control', 'private, no-store')
    response.headers.set('x-content-type-options', 'nosniff')
    await atEndOfTurn()
    // A flat list goes out as it is; an object is taken apart, checked and put together again.
    const length = response.headers.get('content-length') ?? String(Buffer.byteLength(text))
    const head = response.status === 204 ? [] : ['content-length', length]
    response.headers.forEach((value, name) => {
      if (name !== 'content-length') head.push(name, value)
    })
    if (stopping || !incoming.complete) head.push('connection', 'close')
    outgoing.writeHead(response.status, head)
    if (incoming.complete) outgoing.end(text)
    else endEarly(incoming, outgoing, text)
  } catch (error) {
    if (incoming.destroyed && !incoming.complete) log.debug('the client went away before the end of its request')
    else log.error({ err: error }, 'request not answered')
    outgoing.destroy()
  } finally {
    active -= 1
  }
}

async function answer(incoming: IncomingMessage, pathname: string, query: string): Promise<Response> {
  if (isWithoutHost(incoming))
    return problemResponse(new AppError('bad_request', 'The Host header is missing.'), newId())
  if (pathname === '/healthz') return Response.json({ status: 'ok' })
  if (pathname === '/readyz') {
    const readiness = await checkReadiness()
    return Response.json(readiness, { status: readiness.status === 'ready' && !stopping ? 200 : 503 })
  }
  const compat = findCompatRoute(incoming.method ?? 'GET', pathname)
  if (compat) {
    if (!METHODS.has(incoming.method ?? '')) return methodNotAllowed([...METHODS].join(', '))
    const bytes = await readIncoming(incoming)
    return compat(toCompatRequest(incoming, bytes, pathname + query, TRUSTED_PROXY_HOPS))
  }
  const known = routes.get(pathname)
  const path = known ? { pathname, tenant: null } : readTenantPath(pathname)
  const handler = known ?? (path ? routes.get(path.pathname) : undefined)
  if (!path || !handler) return problemResponse(new AppError('not_found', ELSEWHERE), newId())
  if (incoming.method === 'OPTIONS') return tellMethods(POST_ALONE)
  if (incoming.method !== 'POST') return methodNotAllowed(POST_ALONE)
  const body = await readIncoming(incoming)
  return await handler(
    toRequest(incoming, body, { url: path.pathname + query, tenant: path.tenant }, TRUSTED_PROXY_HOPS),
  )
}

async function stop(signal: string): Promise<void> {
  if (stopping) return
  stopping = true
  log.info({ signal, active }, 'ingest stops')
  server.close()
  server.closeIdleConnections()
  const started = performance.now()
  const passed = () => performance.now() - started
  await drainWriter()
  while (active > (passed() < LAST_UPLOADS_MS ? 0 : countUnread()) && passed() < SHUTDOWN_MS)
    await new Promise((resolve) => setTimeout(resolve, 20))
  server.closeAllConnections()
  await runShutdown()
  await stopNotifications()
  await closePools()
  process.exit(0)
}
process.on('SIGTERM', () => void stop('SIGTERM'))
process.on('SIGINT', () => void stop('SIGINT'))

server.listen(INGEST_PORT, process.env.HOST || '127.0.0.1', () => {
  log.info({ port: INGEST_PORT }, 'ingest listens')
})
