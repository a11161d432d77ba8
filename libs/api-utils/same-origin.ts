import { isSecureRequest } from '@/libs/auth/session-cookie'
import { AppError } from '@/libs/errors'
import { canonicalHost } from '@/libs/tenancy/host'

/** Methods that change nothing. */
export function isSafeMethod(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}

/**
 * Refuses an unsafe request that carries a session cookie unless it comes from a page of the very same origin.
 * Sibling tenants are same-site, so SameSite alone would not keep them apart. @throws AppError forbidden.
 */
export function requireSameOrigin(request: Request): void {
  if (isSafeMethod(request.method)) return
  const site = request.headers.get('sec-fetch-site')
  if (site === 'same-origin') return
  const origin = request.headers.get('origin')
  if (site === null && origin !== null && URL.canParse(origin)) {
    const host = canonicalHost(request.headers.get('host'))
    const from = new URL(origin)
    const sameHost = canonicalHost(from.host) === host && from.host === request.headers.get('host')?.toLowerCase()
    // A page that came without encryption may have been written by anybody on the way.
    if (host !== null && sameHost && (from.protocol === 'https:' || !isSecureRequest(request))) return
  }
  throw new AppError('forbidden', 'This request must come from a page of this site.')
}
