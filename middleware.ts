import { type NextRequest, NextResponse } from 'next/server'
import { isSecureRequest } from '@/libs/auth/session-cookie'
import { env } from '@/libs/env'
import { refreshSession } from '@/libs/supabase/refresh-session'
import { ASKED_PATH_HEADER, isInternalHeader, PATH_TENANT_HEADER } from '@/libs/tenancy/host'
import { routeRequest } from '@/libs/tenancy/route-request'
import { contentSecurityPolicy, SECURITY_HEADERS, STRICT_TRANSPORT } from '@/libs/tenancy/security-headers'

/**
 * Everything but files of the build, and but machines that track and check usage: running a middleware costs Next more than the
 * route itself, and there it would have nothing to do. These routes read no header of ours but the one that names a tenant,
 * which proves nothing; with a cookie they come by here, for the session to be renewed.
 */
export const config = {
  matcher: [
    '/((?!_next/static/|api/v1/usage/(?:track|check)$).*)',
    { source: '/api/v1/usage/(track|check)', has: [{ type: 'header', key: 'cookie' }] },
  ],
}

/** Names the tenant a request is about, drops what only we may say, renews the session and sends the request to its route. It decides no right. */
export async function middleware(request: NextRequest): Promise<Response> {
  const { ROOT_DOMAIN, TENANT_SUBDOMAIN_ENABLED, TENANT_HEADER_NAME, NODE_ENV } = env()
  const { pathname, search } = request.nextUrl
  if (pathname.startsWith('/_next/image')) return new Response(null, { status: 404 })
  const route = routeRequest(
    { host: request.headers.get('host'), pathname },
    { rootDomain: ROOT_DOMAIN, subdomains: TENANT_SUBDOMAIN_ENABLED },
  )
  const secure = isSecureRequest(request)
  if (route.action === 'redirect')
    return NextResponse.redirect(`${secure ? 'https' : 'http'}://${route.host}${pathname}${search}`, 307)
  if (route.action === 'not_found') return unknownHost(ROOT_DOMAIN)

  const headers = new Headers(request.headers)
  const publicNames = ['x-tenant-id', 'x-tenant-slug', TENANT_HEADER_NAME]
  for (const name of [...headers.keys()]) if (isInternalHeader(name, publicNames)) headers.delete(name)
  if (route.action === 'rewrite' && route.tenant) headers.set(PATH_TENANT_HEADER, route.tenant)
  if (route.page) headers.set(ASKED_PATH_HEADER, `${pathname}${search}`.slice(0, 2_000))

  // The answers of sign-in and sign-out set the session themselves; renewing it beside them would undo that.
  const session = pathname.startsWith('/api/auth/') ? null : await refreshSession(request)
  if (session) headers.set('cookie', session.cookie)

  const policy = route.page ? pagePolicy(headers, { development: NODE_ENV === 'development', secure }) : null
  const target = request.nextUrl.clone()
  if (route.action === 'rewrite') target.pathname = route.pathname
  const response =
    route.action === 'rewrite'
      ? NextResponse.rewrite(target, { request: { headers } })
      : NextResponse.next({ request: { headers } })
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.headers.set(name, value)
  if (secure) response.headers.set('strict-transport-security', STRICT_TRANSPORT)
  for (const cookie of session?.setCookies ?? []) response.headers.append('set-cookie', cookie)
  if (policy) {
    response.headers.set('content-security-policy', policy)
    response.headers.set('cache-control', 'private, no-store')
  }
  return response
}

/** Gives a page its nonce: Next reads it from the policy in the request headers, our own code from x-nonce. */
function pagePolicy(headers: Headers, options: { development: boolean; secure: boolean }): string {
  const nonce = btoa(crypto.randomUUID())
  const policy = contentSecurityPolicy(nonce, options)
  headers.set('x-nonce', nonce)
  headers.set('content-security-policy', policy)
  return policy
}

/** The same document as problemResponse makes, which cannot run here. */
function unknownHost(rootDomain: string): Response {
  const requestId = crypto.randomUUID()
  const body = {
    type: `${rootDomain.startsWith('localhost') ? 'http' : 'https'}://app.${rootDomain}/docs/errors#not_found`,
    title: 'Not found',
    status: 404,
    detail: 'There is nothing here, or nothing you may see.',
    code: 'not_found',
    request_id: requestId,
  }
  return new Response(JSON.stringify(body), {
    status: 404,
    headers: {
      'content-type': 'application/problem+json',
      'cache-control': 'private, no-store',
      'x-request-id': requestId,
      ...SECURITY_HEADERS,
    },
  })
}
