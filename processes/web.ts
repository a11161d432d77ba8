// The web server of production: Next behind one rule of ours. `next start` would believe every X-Forwarded-* header; here
// they count only when TRUSTED_PROXY_HOPS says that a proxy of the operator's sets them. Without one Next notes the
// address of the connection itself. Paths and methods that cannot be read are refused before Next stumbles over them, and a
// header that is there twice is read as both: of two credentials none may win by its place.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import next from 'next'
import { problemResponse } from '@/libs/api-utils/problem'
import { env } from '@/libs/env'
import { AppError, notFound } from '@/libs/errors'
import { newId } from '@/libs/ids'
import { runShutdown } from '@/libs/jobs/at-shutdown'
import { takeOriginForm } from '@/libs/net/origin-form'
import { isWithoutHost, refuseMalformed } from '@/libs/net/refuse-malformed'
import { isInternalHeader } from '@/libs/tenancy/host'
import { isDecodable } from '@/libs/tenancy/route-request'
import { SECURITY_HEADERS, STRICT_TRANSPORT } from '@/libs/tenancy/security-headers'
import { answerPage } from './web/answer-page'
import { dropFlight } from './web/drop-flight'
import { endServer } from './web/end-server'
import { explainMethods, METHODS, methodNotAllowed, send } from './web/explain-methods'
import { findExcess } from './web/find-excess'
import { readPastUnread } from './web/read-past'

const FORWARDED = [
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-real-ip',
  'forwarded',
]
const SHUTDOWN_MS = 10_000

function dropUntrusted(request: IncomingMessage): void {
  for (const name of FORWARDED) delete request.headers[name]
}

/** What the middleware does for every other route: headers that only we may set are taken out. */
function dropInternal(request: IncomingMessage, publicNames: readonly string[]): void {
  for (const name of Object.keys(request.headers)) if (isInternalHeader(name, publicNames)) delete request.headers[name]
}

/** The headers that all answers carry, also those that the middleware does not see: files of the build, redirects of Next. */
function secure(request: IncomingMessage, response: ServerResponse): void {
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value)
  const [scheme = ''] = String(request.headers['x-forwarded-proto'] ?? '').split(',')
  if (scheme.trim() === 'https') response.setHeader('strict-transport-security', STRICT_TRANSPORT)
}

const USAGE = /^\/api\/v1\/usage\/(?:track|check)(?:\?|$)/

/** A path no route can have, which Next would answer with a 500 or a redirect of its own. */
function isUnreadable(url = '/'): boolean {
  const [path = ''] = url.split('?', 1)
  return !url.startsWith('/') || url.startsWith('//') || path.includes('\\') || !isDecodable(path)
}

/** An address of the API with a part that is empty, which is nobody's; Next would lead to another one. */
const HAS_GAP = /^\/(?:api|compat)(?:\/[^/?]+)*\/\//

const IS_API = /^\/(?:api|compat)\//

async function main(): Promise<void> {
  const { PORT, TRUSTED_PROXY_HOPS, TENANT_HEADER_NAME } = env()
  const publicNames = ['x-tenant-id', 'x-tenant-slug', TENANT_HEADER_NAME]
  const hostname = process.env.HOST || '127.0.0.1'
  // Next writes loopback addresses as `localhost` in the URLs it hands to the middleware; under any other name it would take
  // a rewrite of ours for one to a foreign server and fetch it over HTTP.
  const app = next({ dev: false, port: PORT, hostname: 'localhost' })
  await app.prepare()
  const handle = app.getRequestHandler()
  const server = createServer(
    {
      requestTimeout: 60_000,
      headersTimeout: 20_000,
      connectionsCheckingInterval: 5_000,
      // Longer than clients and proxies keep a connection that rests: who closes first must not be the server.
      keepAliveTimeout: 65_000,
      maxHeaderSize: 32_768,
      joinDuplicateHeaders: true,
      requireHostHeader: false,
      // Whoever offers another protocol, as curl does HTTP/2, is answered in this one; Next would hang up.
      shouldUpgradeCallback: () => false,
    },
    (request, response) => {
      if (TRUSTED_PROXY_HOPS === 0) dropUntrusted(request)
      secure(request, response)
      takeOriginForm(request)
      if (isWithoutHost(request)) {
        void send(response, problemResponse(new AppError('bad_request', 'The Host header is missing.'), newId()))
        return
      }
      const excess = findExcess(request)
      if (excess) {
        void send(response, problemResponse(excess, newId()))
        return
      }
      if (isUnreadable(request.url)) {
        void send(response, problemResponse(new AppError('bad_request', 'The path cannot be read.'), newId()))
        return
      }
      if (HAS_GAP.test(request.url ?? '')) {
        void send(response, problemResponse(notFound(), newId()))
        return
      }
      if (!METHODS.has(request.method ?? '')) {
        void send(response, methodNotAllowed([...METHODS].join(', ')))
        return
      }
      if (IS_API.test(request.url ?? '')) {
        dropFlight(request)
        explainMethods(request, response)
      }
      if (USAGE.test(request.url ?? '') && !request.headers.cookie) dropInternal(request, publicNames)
      readPastUnread(request, response)
      answerPage(response, () => void handle(request, response))
    },
  )
  refuseMalformed(server)
  const stop = async () => {
    await endServer(server, SHUTDOWN_MS)
    await runShutdown()
    process.exit(0)
  }
  process.once('SIGTERM', () => void stop())
  process.once('SIGINT', () => void stop())
  server.listen(PORT, hostname)
}

await main()
