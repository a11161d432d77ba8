import type { IncomingMessage } from 'node:http'
import * as openMeterRoute from '@/app/compat/openmeter/api/[...path]/route'
import { findOpenMeterRoute } from '@/app/compat/openmeter/paths'
import * as stripeRoute from '@/app/compat/stripe/[...path]/route'
import { findStripeRoute } from '@/app/compat/stripe/paths'
import { METHODS, unknownMethod } from '@/app/compat/unkey/methods'
import type { RouteHandler } from '@/libs/api-utils/route-handler'
import { isInternalHeader } from '@/libs/tenancy/host'
import { methodNotAllowed, tellMethods } from '../web/explain-methods'
import { HERE, toRequest } from './incoming-request'

/** A way in for the client of another product: everything below a prefix. */
type CompatRoute = {
  prefix: string
  /** What Next says that it takes where it mounts the same. */
  allow: string
  /** The handler of a path, without the prefix; null when there is none. */
  find: (path: string, method: string) => RouteHandler | null
}

/** What all of Unkey takes, and all of our own that is here. */
export const POST_ALONE = 'OPTIONS, POST'
const postAlone: RouteHandler = async () => methodNotAllowed(POST_ALONE)

/** What Next says that a route takes. */
const methodsOf = (route: object): string =>
  [...Object.keys(route), 'OPTIONS', ...('GET' in route ? ['HEAD'] : [])].sort().join(', ')
const STRIPE = methodsOf(stripeRoute)

const ROUTES: readonly CompatRoute[] = [
  {
    prefix: '/compat/unkey/v2/',
    allow: POST_ALONE,
    find: (path, method) => (method === 'POST' ? (METHODS.get(path) ?? unknownMethod) : postAlone),
  },
  {
    prefix: '/compat/openmeter/api/',
    allow: methodsOf(openMeterRoute),
    find: (path, method) => findOpenMeterRoute(method, path),
  },
  // Its client can be given another host, but no path.
  { prefix: '/v1/', allow: STRIPE, find: (path, method) => findStripeRoute(method, `v1/${path}`) },
  { prefix: '/v2/', allow: STRIPE, find: (path, method) => findStripeRoute(method, `v2/${path}`) },
]

/** The handler for a request of another product's client, or null. */
export function findCompatRoute(method: string, pathname: string): RouteHandler | null {
  for (const { prefix, allow, find } of ROUTES)
    if (pathname.startsWith(prefix))
      return method === 'OPTIONS' ? async () => tellMethods(allow) : find(pathname.slice(prefix.length), method)
  return null
}

/**
 * The request of such a client. One that is to be safe to repeat is a whole Request, because it is read more than once;
 * others are as light as those of our own routes.
 */
export function toCompatRequest(
  incoming: IncomingMessage,
  body: Buffer,
  url: string,
  trustedProxyHops: number,
): Request {
  if (incoming.headers['idempotency-key'] === undefined) {
    return toRequest(incoming, body, { url, tenant: null }, trustedProxyHops)
  }
  const headers = new Headers()
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value === undefined || isInternalHeader(name, ['x-tenant-id', 'x-tenant-slug'])) continue
    headers.set(name, typeof value === 'string' ? value : value.join(', '))
  }
  if (trustedProxyHops === 0) headers.set('x-forwarded-for', incoming.socket.remoteAddress ?? '')
  const method = incoming.method ?? 'GET'
  const hasBody = method !== 'GET' && method !== 'HEAD'
  return new Request(HERE + url, {
    method,
    headers,
    ...(hasBody ? { body: new Uint8Array(body) } : {}),
  })
}
