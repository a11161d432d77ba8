import { createHash } from 'node:crypto'
import { nameOfKey, openFor, sealFor } from '@/libs/crypto/keyed-box'
import { tenantQuery } from '@/libs/db/tenant-db'
import { AppError } from '@/libs/errors'
import type { Repeatable } from '@/libs/tenancy/register-tenant'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { readContent } from './read-json'

const KEY = /^[\x21-\x7e]{1,255}$/
const LONGEST_BODY = 262_144
const JSON_TYPE = 'application/json'
/** Headers of an answer that belong to this one sending of it. */
const NOT_KEPT = new Set(['content-length', 'set-cookie', 'idempotent-replayed'])

type Stored = { request_hash: Buffer; status: number | null; body: string | null; expired: boolean }

/** The Idempotency-Key of a request, or null. @throws AppError bad_request when it is malformed. */
export function readIdempotencyKey(request: Request): string | null {
  const key = request.headers.get('idempotency-key')
  if (key === null) return null
  if (!KEY.test(key)) throw new AppError('bad_request', 'Idempotency-Key must be 1 to 255 visible ASCII characters.')
  return key
}

/** What was asked for: a body that is packed anew for a repeat is the same body. */
async function hashRequest(request: Request): Promise<Buffer> {
  const body = request.body ? await readContent(request.clone()) : Buffer.alloc(0)
  const { pathname, search } = new URL(request.url)
  return createHash('sha256').update(`${request.method} ${pathname}${search}\n`).update(body).digest()
}

/** What tells a repeat of this request from another one, for acts that know themselves what they made; null without a key. @throws AppError bad_request. */
export async function readRepeatable(request: Request): Promise<Repeatable | null> {
  const key = readIdempotencyKey(request)
  return key === null ? null : { key, hash: await hashRequest(request) }
}

/** An answer as it is kept: its body, after the headers that are not those of all JSON, as they go over the wire. */
function toText(headers: Headers, body: string): string {
  const head = [...headers].filter(
    ([name, value]) => !NOT_KEPT.has(name) && !(name === 'content-type' && value === JSON_TYPE),
  )
  return head.length === 0 ? body : `${head.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`
}

/** The answer that was kept. JSON never begins with the name of a header. */
function fromText(text: string, status: number): Response {
  const headers = new Headers({ 'content-type': JSON_TYPE, 'idempotent-replayed': 'true' })
  const end = /^[a-z][a-z-]*: /.test(text) ? text.indexOf('\r\n\r\n') : -1
  if (end > 0)
    for (const line of text.slice(0, end).split('\r\n')) {
      const colon = line.indexOf(': ')
      headers.set(line.slice(0, colon), line.slice(colon + 2))
    }
  const body = end > 0 ? text.slice(end + 4) : text
  if (status !== 204) return new Response(body, { status, headers })
  headers.delete('content-type')
  return new Response(null, { status, headers })
}

/** Makes a key ours, or gives what is there: one that is older than a day is as if it had never been. */
async function claim(actorId: string, name: string, hash: Buffer): Promise<Stored | null> {
  for (;;) {
    const claimed = await tenantQuery(
      'insert into idempotency_keys (actor_id, key, request_hash) values ($1, $2, $3) on conflict do nothing returning key',
      [actorId, name, hash],
    )
    if (claimed.length > 0) return null
    const [stored] = await tenantQuery<Stored>(
      `select request_hash, status, body, created_at < now() - interval '1 day' as expired
       from idempotency_keys where tenant_id = (select app.tenant_id()) and actor_id = $1 and key = $2`,
      [actorId, name],
    )
    if (stored && !stored.expired) return stored
    await tenantQuery(
      `delete from idempotency_keys where tenant_id = (select app.tenant_id()) and actor_id = $1 and key = $2
       and created_at < now() - interval '1 day'`,
      [actorId, name],
    )
  }
}

/**
 * Runs `work` once for an actor and Idempotency-Key, in the transaction of the current context: a repeat within a day gets
 * the first answer (marked `idempotent-replayed`), also when it arrives while the first is still running. An answer that
 * was an error is not kept, so that the caller can try again. @throws AppError idempotency_mismatch for another request,
 * conflict when the answer was too long to be kept.
 */
export async function runOnce(request: Request, key: string, work: () => Promise<Response>): Promise<Response> {
  const hash = await hashRequest(request)
  const { tenantId, actor } = currentContext()
  // An answer may hold a secret that is shown once: it is for who has the key, which is kept nowhere.
  const name = nameOfKey(key)
  const place = `${tenantId} ${actor.id}`
  const stored = await claim(actor.id, name, hash)
  if (stored) {
    if (!stored.request_hash.equals(hash))
      throw new AppError('idempotency_mismatch', 'This Idempotency-Key was used before with another request.')
    if (!stored.status)
      throw new AppError('conflict', 'The first request with this Idempotency-Key has no answer yet.', {
        retry_after: 1,
      })
    if (stored.body === null)
      throw new AppError('conflict', 'This request was carried out before; its answer was too long to be kept.')
    return fromText(openFor(key, place, stored.body), stored.status)
  }
  const response = await work()
  const body = response.body ? await response.clone().text() : ''
  if (response.status >= 400) {
    await tenantQuery(
      'delete from idempotency_keys where tenant_id = (select app.tenant_id()) and actor_id = $1 and key = $2',
      [actor.id, name],
    )
    return response
  }
  await tenantQuery(
    'update idempotency_keys set status = $3, body = $4 where tenant_id = (select app.tenant_id()) and actor_id = $1 and key = $2',
    [
      actor.id,
      name,
      response.status,
      body.length > LONGEST_BODY ? null : sealFor(key, place, toText(response.headers, body)),
    ],
  )
  return response
}
