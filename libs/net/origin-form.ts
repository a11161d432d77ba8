import type { IncomingMessage } from 'node:http'

/** An address of the API with a slash at its end, before its query. */
const ENDS_IN_SLASH = /^(\/(?:api|compat)\/[^?]*[^/?])\/(?=\?|$)/

/**
 * The target of a request as path and query. Who names the whole URL, as to a proxy, means its host and no other
 * (RFC 9112, 3.2.2), so that this takes the place of the Host header. One slash at the end of an address of the API says
 * nothing: a redirect without it would lose the body of whoever does not follow it.
 */
export function takeOriginForm(request: IncomingMessage): string {
  let { url = '/' } = request
  if (!url.startsWith('/') && /^https?:\/\//i.test(url) && URL.canParse(url)) {
    const { host, pathname, search } = new URL(url)
    request.headers.host = host
    url = `${pathname}${search}`
    request.url = url
  }
  if (!url.endsWith('/') && !url.includes('/?')) return url
  request.url = url.replace(ENDS_IN_SLASH, '$1')
  return request.url
}
