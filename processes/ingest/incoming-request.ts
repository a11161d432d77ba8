import type { IncomingMessage, ServerResponse } from 'node:http'
import type { WholeBody } from '@/libs/api-utils/read-json'
import { PATH_TENANT_HEADER } from '@/libs/tenancy/host'

/** Largest body taken in; one byte more is enough for the handler to refuse it. */
const MAX_BODY = 1_048_576
/** How long the rest of a request is read past, so that its sender can read the answer before the connection is cut. */
const LINGER_MS = 1_000

let unread = 0

/** How many requests there are of which a part has not arrived. */
export function countUnread(): number {
  return unread
}

/**
 * The body of a request, or as much of it as shows that it is too large.
 * @throws Error when the client goes away before its end.
 */
export function readIncoming(incoming: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    let waits = true
    unread += 1
    const settle = () => {
      if (waits) unread -= 1
      waits = false
    }
    const finish = () => {
      settle()
      resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks))
    }
    const take = (chunk: Buffer) => {
      chunks.push(chunk)
      size += chunk.length
      if (size > MAX_BODY) {
        incoming.off('data', take)
        incoming.pause()
        finish()
      }
    }
    incoming.on('data', take)
    incoming.on('end', finish)
    incoming.on('error', (error) => {
      settle()
      reject(error)
    })
  })
}

/** Sends the last of an answer to who has not sent all of the request, and ends the connection once that is over. */
export function endEarly(incoming: IncomingMessage, outgoing: ServerResponse, text: string): void {
  outgoing.write(text)
  const end = () => outgoing.end()
  const timer = setTimeout(end, LINGER_MS)
  incoming.once('close', () => clearTimeout(timer))
  incoming.once('end', end)
  incoming.resume()
}

/** What stands before the path where a URL is needed: who is asked is in the Host header, which need not be a host name. */
export const HERE = 'http://localhost'

// Functions that all requests share, because closures made for each cost more than what they do.
type Message = { incoming: IncomingMessage; tenant: string | null; trustedProxyHops: number; get: typeof getHeader }

function getHeader(this: Message, name: string): string | null {
  if (name === PATH_TENANT_HEADER) return this.tenant
  if (name === 'x-forwarded-for' && this.trustedProxyHops === 0) return this.incoming.socket.remoteAddress ?? null
  const { headers } = this.incoming
  const value = headers[name] ?? headers[name.toLowerCase()]
  if (value === undefined) return null
  return typeof value === 'string' ? value : value.join(', ')
}

function hasHeader(this: Message, name: string): boolean {
  return this.get(name) !== null
}

/** Whoever reads it twice (the hash of an Idempotency-Key, a repeat after a deadlock) reads the same: nothing is used up. */
function sameAgain(this: Request): Request {
  return this
}

/**
 * What handlers use of a Request, over a message of node:http without building a Request: that costs more than the
 * handler itself. The tenant of the path is ours to say and never taken from a header; without a trusted proxy the
 * address is the one of the connection.
 */
export function toRequest(
  incoming: IncomingMessage,
  body: Buffer,
  path: { url: string; tenant: string | null },
  trustedProxyHops: number,
): Request {
  const request = {
    method: incoming.method ?? 'GET',
    url: HERE + path.url,
    headers: { incoming, tenant: path.tenant, trustedProxyHops, get: getHeader, has: hasHeader },
    body: body.length > 0 ? ({ whole: body } satisfies WholeBody) : null,
    clone: sameAgain,
  }
  return request as unknown as Request
}
