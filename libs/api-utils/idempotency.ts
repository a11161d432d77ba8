import { createHash } from 'node:crypto'
import { tenantQuery } from '@/libs/db/tenant-db'
import { AppError } from '@/libs/errors'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { readBytes } from './read-json'

const KEY = /^[\x21-\x7e]{1,255}$/
const LONGEST_BODY = 262_144

type Stored = { request_hash: Buffer; status: number | null; body: string | null }

/** The Idempotency-Key of a request, or null. @throws AppError bad_request when it is malformed. */
export function readIdempotencyKey(request: Request): string | null {
  const key = request.headers.get('idempotency-key')
  if (key === null) return null
  if (!KEY.test(key)) throw new AppError('bad_request', 'Idempotency-Key must be 1 to 255 visible ASCII characters.')
  return key
}

async function hashRequest(request: Request): Promise<Buffer> {
  const body = request.body ? await readBytes(request.clone()) : Buffer.alloc(0)
  const { pathname, search } = new URL(request.url)
  return createHash('sha256').update(`${request.method} ${pathname}${search}\n`).update(body).digest()
}

/**
 * Runs `work` once for an actor and Idempotency-Key, in the transaction of the current context: a repeat gets the first
 * answer (marked `idempotent-replayed`), also when it arrives while the first is still running. An answer that was an
 * error is not kept, so that the caller can try again. @throws AppError idempotency_mismatch for another request,
 * conflict when the answer was too long to be kept.
 */
export async function runOnce(request: Request, key: string, work: () => Promise<Response>): Promise<Response> {
  const hash = await hashRequest(request)
  const actorId = currentContext().actor.id
  const claimed = await tenantQuery(
    'insert into idempotency_keys (actor_id, key, request_hash) values ($1, $2, $3) on conflict do nothing returning key',
    [actorId, key, hash],
  )
  if (claimed.length === 0) {
    const [stored] = await tenantQuery<Stored>(
      'select request_hash, status, body from idempotency_keys where tenant_id = (select app.tenant_id()) and actor_id = $1 and key = $2',
      [actorId, key],
    )
    if (!stored?.status)
      throw new AppError('conflict', 'The first request with this Idempotency-Key has no answer yet.', {
        retry_after: 1,
      })
    if (!stored.request_hash.equals(hash))
      throw new AppError('idempotency_mismatch', 'This Idempotency-Key was used before with another request.')
    if (stored.body === null)
      throw new AppError('conflict', 'This request was carried out before; its answer was too long to be kept.')
    return new Response(stored.status === 204 ? null : stored.body, {
      status: stored.status,
      headers: { 'content-type': 'application/json', 'idempotent-replayed': 'true' },
    })
  }
  const response = await work()
  const body = response.body ? await response.clone().text() : ''
  if (response.status >= 400) {
    await tenantQuery(
      'delete from idempotency_keys where tenant_id = (select app.tenant_id()) and actor_id = $1 and key = $2',
      [actorId, key],
    )
    return response
  }
  await tenantQuery(
    'update idempotency_keys set status = $3, body = $4 where tenant_id = (select app.tenant_id()) and actor_id = $1 and key = $2',
    [actorId, key, response.status, body.length > LONGEST_BODY ? null : body],
  )
  return response
}
