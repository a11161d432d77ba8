import { randomUUID } from 'node:crypto'

/**
 * A new row id: UUID version 7 (RFC 9562), so that ids made later sort later.
 * The first 48 bits are Unix milliseconds, the rest but version and variant is random (from Node's pool of random bytes,
 * which is a dozen times faster than asking for sixteen at a time).
 */
export function newId(now: number = Date.now()): string {
  const time = now.toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Whether a text is written as a UUID, of any version. */
export function isUuid(text: string): boolean {
  return UUID.test(text)
}
