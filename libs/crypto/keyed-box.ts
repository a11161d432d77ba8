import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'

const NONCE_BYTES = 12
const TAG_BYTES = 16

/** What a key is known by where it is not to be read: it opens nothing. */
export function nameOfKey(key: string): string {
  return createHash('sha256').update(key).digest('base64url')
}

function keyFor(key: string, place: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, place, 'holdfast keyed box', 32))
}

/** Seals a text so that only whoever sends the same key again can have it read, and only in the same place. */
export function sealFor(key: string, place: string, text: string): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', keyFor(key, place), nonce)
  return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64')
}

/** Opens what sealFor sealed. @throws Error for another key or place, and for what was changed. */
export function openFor(key: string, place: string, sealed: string): string {
  const bytes = Buffer.from(sealed, 'base64')
  const decipher = createDecipheriv('aes-256-gcm', keyFor(key, place), bytes.subarray(0, NONCE_BYTES))
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
  return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]).toString('utf8')
}
