import { randomUUID } from 'node:crypto'

let lastTime = 0
let sequence = 0
let written = { time: Number.NaN, hex: '' }

/**
 * A new row id: UUID version 7 (RFC 9562), 48 bits of Unix milliseconds, then a counter of 12 bits, so that ids made by one
 * process sort in the order they were made; the rest is random (from Node's pool of random bytes, which is a dozen times
 * faster than asking for sixteen at a time). More than 4,096 ids of one millisecond borrow from the next.
 */
export function newId(): string {
  const now = Date.now()
  if (now > lastTime || sequence === 0xfff) {
    lastTime = Math.max(now, lastTime + 1)
    sequence = 0
  } else sequence += 1
  return formatId(lastTime, sequence)
}

/** A UUID version 7 of a millisecond and a counter below 4,096. */
export function formatId(time: number, counter: number): string {
  return hexOf(time) + (0x7000 + counter).toString(16) + randomUUID().slice(18)
}

/** The part of an id that says when; many are made in one millisecond. */
function hexOf(time: number): string {
  if (time !== written.time) {
    const hex = time.toString(16).padStart(12, '0')
    written = { time, hex: `${hex.slice(0, 8)}-${hex.slice(8)}-` }
  }
  return written.hex
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Whether a text is written as a UUID, of any version. */
export function isUuid(text: string): boolean {
  return UUID.test(text)
}
