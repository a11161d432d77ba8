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

type Message = { incoming: IncomingMessage; tenant: string | null; trustedProxyHops: number }
type Body = { bytes: Buffer; finished: boolean }

// Methods of shared prototypes, because closures made for every request cost more than what they do.
const headersOf = {
  get(this: Message, name: string): string | null {
    if (name === PATH_TENANT_HEADER) return this.tenant
    if (name === 'x-forwarded-for' && this.trustedProxyHops === 0) return this.incoming.socket.remoteAddress ?? null
    const { headers } = this.incoming
    const value = headers[name] ?? headers[name.toLowerCase()]
    if (value === undefined) return null
    return typeof value === 'string' ? value : value.join(', ')
  },
  has(this: Message & { get: (name: string) => string | null }, name: string): boolean {
    return this.get(name) !== null
  },
}
const END = { done: true, value: undefined }
const readerOf = {
  async read(this: Body) {
    if (this.finished) return END
    this.finished = true
    return { done: false, value: this.bytes }
  },
  async cancel() {},
}

const streamOf = {
  getReader(this: { reader: unknown }) {
    return this.reader
  },
}

const requestOf = {
  /** For who needs the bytes of the body before the handler reads them: the hash of an Idempotency-Key. */
  clone(this: { bytes: Buffer }) {
    const { bytes } = this
    return { arrayBuffer: async () => bytes }
  },
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
  const reader = { __proto__: readerOf, bytes: body, finished: false }
  const request = {
    __proto__: requestOf,
    bytes: body,
    method: incoming.method ?? 'GET',
    url: `http://${incoming.headers.host ?? 'localhost'}${path.url}`,
    headers: { __proto__: headersOf, incoming, tenant: path.tenant, trustedProxyHops },
    body: body.length > 0 ? { __proto__: streamOf, reader } : null,
  }
  return request as unknown as Request
}
