import type { IncomingMessage } from 'node:http'

/**
 * The target of a request as path and query. Who names the whole URL, as to a proxy, means its host and no other
 * (RFC 9112, 3.2.2), so that this takes the place of the Host header.
 */
export function takeOriginForm(request: IncomingMessage): string {
  const { url = '/' } = request
  if (url.startsWith('/') || !/^https?:\/\//i.test(url) || !URL.canParse(url)) return url
  const { host, pathname, search } = new URL(url)
  request.headers.host = host
  request.url = `${pathname}${search}`
  return request.url
}
