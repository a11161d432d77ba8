import { hash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { LRUCache } from 'lru-cache'
import { isListening, onNotification } from '@/libs/db/notifications'
import { serverQuery } from '@/libs/db/server-query'
import { log } from '@/libs/log'

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const BODY_LENGTH = 43
const KEY = /^hf_(live|test)_([0-9A-Za-z]{43})([0-9A-Za-z]{6})$/

export type KeyMode = 'live' | 'test'

/** A key as the database knows it. `creator_role` null: who made it is no member any more, and the key is dead. */
export type ApiKey = {
  tenant_id: string
  id: string
  name: string
  permissions: string[]
  creator_role: string | null
  expires_at: Date | null
  revoked_at: Date | null
  disabled_at: Date | null
}

function checksum(text: string): string {
  let value = crc32(text)
  let digits = ''
  for (let index = 0; index < 6; index += 1) {
    digits = (ALPHABET[value % 62] ?? '0') + digits
    value = Math.floor(value / 62)
  }
  return digits
}

/** A new API key: `hf_live_` or `hf_test_`, 43 base62 characters (256 bits), 6 of checksum. Shown once, never stored. */
export function createKey(mode: KeyMode): string {
  return createKeyText(`hf_${mode}`)
}

/** A new secret in the form of our keys behind any prefix: `prefix_`, 43 base62 characters (256 bits), 6 of checksum. */
export function createKeyText(prefix: string): string {
  let body = ''
  while (body.length < BODY_LENGTH) {
    // 248 is the largest multiple of 62 below 256: bytes above it would favour some characters.
    for (const byte of randomBytes(64)) if (byte < 248 && body.length < BODY_LENGTH) body += ALPHABET[byte % 62]
  }
  const start = `${prefix}_${body}`
  return start + checksum(start)
}

/** Whether a text has the form and checksum of a key; a mistyped key is refused without asking the database. */
export function isKey(text: string): boolean {
  return KEY.test(text) && hasChecksum(text)
}

/** Whether a text ends in the checksum of what is before it, as every key made by createKeyText does. */
export function hasChecksum(text: string): boolean {
  return text.length > BODY_LENGTH + 6 && checksum(text.slice(0, -6)) === text.slice(-6)
}

/** SHA-256 of a key, the form in which it is stored and looked up. */
export function hashKey(key: string): Buffer {
  return hash('sha256', key, 'buffer')
}

const cache = new LRUCache<string, { key: ApiKey | null }>({ max: 50_000, ttlResolution: 100 })
/** Hashes of texts seen in the last seconds, because a busy caller sends the same few over and over. */
const hashes = new LRUCache<string, string>({ max: 10_000, ttl: 5_000, ttlAutopurge: true, ttlResolution: 100 })
const flights = new Map<string, Promise<ApiKey | null>>()
let generation = 0
let listening = false

function listen(): void {
  if (listening) return
  listening = true
  onNotification('registry', (message) => {
    if (message === null) return forgetApiKeys()
    if (message.table === 'api_keys' || message.table === 'memberships') forgetApiKeys(message.tenant_id)
  })
}

/** Drops remembered keys of a tenant (or all): after one was revoked, disabled or enabled, or a change of its creator's role. */
export function forgetApiKeys(tenantId?: string): void {
  generation += 1
  flights.clear()
  if (tenantId === undefined) {
    cache.clear()
    return
  }
  for (const [hash, entry] of cache.entries()) if (entry.key?.tenant_id === tenantId) cache.delete(hash)
}

/** The hash, in Base64, of a text that may be a key, null for any other: that is no question for the database. */
export function readHash(text: string, mayBeKey: (text: string) => boolean): string | null {
  const known = hashes.get(text)
  if (known !== undefined) return known
  if (!mayBeKey(text)) return null
  const name = hashKey(text).toString('base64')
  hashes.set(text, name)
  return name
}

async function load(hash: string): Promise<ApiKey | null> {
  const [key] = await serverQuery<ApiKey>(
    'select tenant_id, id, name, permissions, creator_role, expires_at, revoked_at, disabled_at from app.find_api_key($1)',
    [Buffer.from(hash, 'base64')],
  )
  return key ?? null
}

/** Whether a key lives at this moment: not revoked, not expired, its creator still a member. A disabled one lives. */
export function isLiving(key: ApiKey, now: number = Date.now()): boolean {
  return (
    key.revoked_at === null && key.creator_role !== null && (key.expires_at === null || key.expires_at.getTime() > now)
  )
}

/**
 * The living key with this text, or null; a disabled one is for the caller to refuse. With `cached` an answer may be up to five seconds old, but a revocation is
 * heard of by notification within milliseconds; without it the database is asked.
 */
export async function findApiKey(text: string, { cached }: { cached: boolean }): Promise<ApiKey | null> {
  const hash = readHash(text, isKey)
  if (hash === null) return null
  const key = cached ? await findCached(hash) : await load(hash)
  if (!key || !isLiving(key)) return null
  touch(key)
  return key
}

function findCached(hash: string): ApiKey | null | Promise<ApiKey | null> {
  listen()
  const hit = cache.get(hash)
  if (hit) return hit.key
  const flying = flights.get(hash)
  if (flying) return flying
  const started = generation
  const flight = load(hash)
    .then((key) => {
      if (started === generation) cache.set(hash, { key }, { ttl: isListening() ? 5_000 : 500 })
      return key
    })
    .finally(() => flights.delete(hash))
  flights.set(hash, flight)
  return flight
}

const touched = new LRUCache<string, true>({ max: 50_000, ttl: 60_000, ttlResolution: 1_000 })

function touch(key: ApiKey): void {
  if (touched.has(key.id)) return
  touched.set(key.id, true)
  serverQuery('select app.touch_api_key($1, $2)', [key.tenant_id, key.id]).catch((error: Error) =>
    log.warn({ error: error.message, key_id: key.id }, 'last use of a key not noted'),
  )
}
