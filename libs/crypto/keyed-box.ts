import { createHash, hkdfSync } from 'node:crypto'
import { decrypt, encrypt } from './aes-gcm'

/** What a key is known by where it is not to be read: it opens nothing. */
export function nameOfKey(key: string): string {
  return createHash('sha256').update(key).digest('base64url')
}

function keyFor(key: string, place: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, place, 'holdfast keyed box', 32))
}

/** Seals a text so that only whoever sends the same key again can have it read, and only in the same place. */
export function sealFor(key: string, place: string, text: string): string {
  return encrypt(keyFor(key, place), Buffer.from(text))
}

/** Opens what sealFor sealed. @throws Error for another key or place, and for what was changed. */
export function openFor(key: string, place: string, sealed: string): string {
  return decrypt(keyFor(key, place), sealed).toString('utf8')
}
