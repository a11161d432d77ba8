import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { PATH_TENANT_HEADER } from '@/libs/tenancy/host'

/** Largest body taken in; one byte more is enough for the handler to refuse it. */
const MAX_BODY = 1_048_576

/**
 * The body of a request, or as much of it as shows that it is too large.
 * @throws Error when the client goes away before its end.
 */
export function readIncoming(incoming: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const finish = () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks))
    incoming.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      size += chunk.length
      if (size > MAX_BODY) {
        incoming.pause()
        finish()
      }
    })
    incoming.on('end', finish)
    incoming.on('error', reject)
    incoming.on('close', () => {
      if (!incoming.complete) reject(new Error('the client went away'))
    })
  })
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
  const { headers, method = 'GET' } = incoming
  let requestId: string | undefined
  const read = (name: string): string | null => {
    if (name === PATH_TENANT_HEADER) return path.tenant
    if (name === 'x-forwarded-for' && trustedProxyHops === 0) return incoming.socket.remoteAddress ?? null
    const value = headers[name] ?? headers[name.toLowerCase()]
    if (value === undefined) {
      if (name !== 'x-request-id') return null
      requestId ??= randomUUID()
      return requestId
    }
    return typeof value === 'string' ? value : value.join(', ')
  }
  let unread = body.length > 0
  const reader = {
    read: () => {
      if (!unread) return Promise.resolve({ done: true, value: undefined })
      unread = false
      return Promise.resolve({ done: false, value: body })
    },
    cancel: () => Promise.resolve(),
    releaseLock: () => undefined,
  }
  const request = {
    method,
    url: `http://${headers.host ?? 'localhost'}${path.url}`,
    headers: { get: read, has: (name: string) => read(name) !== null },
    body: body.length > 0 ? { getReader: () => reader } : null,
    text: () => Promise.resolve(body.toString()),
  }
  return request as unknown as Request
}
