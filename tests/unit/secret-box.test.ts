import { createCipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'
import { afterEach, expect, test } from 'vitest'
import {
  firstMasterId,
  MissingKeyError,
  makeTenantKey,
  openDerived,
  openWith,
  type SecretPlace,
  sealedVersion,
  sealWith,
  unwrapKey,
  wrapKey,
} from '@/libs/crypto/secret-box'
import { forgetEnv } from '@/libs/env'

const place: SecretPlace = { tenant_id: 'tenant-1', table: 'stripe_exports', column: 'secret', row: 'row-1' }
const older = randomBytes(32).toString('base64')
const newer = randomBytes(32).toString('base64url')
const before = { ...process.env }
const use = (keys: string) => {
  process.env.ENCRYPTION_KEYS = keys
  forgetEnv()
}
afterEach(() => {
  process.env = { ...before }
  forgetEnv()
})
const changedAt = (text: string, index: number) =>
  `${text.slice(0, index)}${text[index] === 'A' ? 'B' : 'A'}${text.slice(index + 1)}`

test('what was sealed opens again, and never looks the same twice', () => {
  const key = makeTenantKey(3)
  const sealed = sealWith(key, 'sk_test_ü', place)
  expect(openWith(key, sealed, place)).toBe('sk_test_ü')
  expect(sealedVersion(sealed)).toBe(3)
  expect(sealed).not.toContain('sk_test')
  expect(sealWith(key, 'sk_test_ü', place)).not.toBe(sealed)
})

test('it opens in its own place alone, under its own key and version', () => {
  const key = makeTenantKey(1)
  const sealed = sealWith(key, 'secret', place)
  for (const change of [{ tenant_id: 'tenant-2' }, { table: 'others' }, { column: 'other' }, { row: 'row-2' }])
    expect(() => openWith(key, sealed, { ...place, ...change })).toThrow('belongs elsewhere')
  expect(() => openWith({ ...key, version: 2 }, sealed, place)).toThrow('belongs elsewhere')
  expect(() => openWith(makeTenantKey(1), sealed, place)).toThrow('belongs elsewhere')
})

test('a changed character anywhere is found', () => {
  const key = makeTenantKey(1)
  const sealed = sealWith(key, 'secret', place)
  // The last character may hold bits that base64url does not use.
  for (let index = 'v2.1.'.length; index < sealed.length - 1; index += 1)
    expect(() => openWith(key, changedAt(sealed, index), place)).toThrow()
  expect(() => openWith(key, sealed.slice(0, 20), place)).toThrow('damaged')
  for (const text of ['', 'v2', 'v2.', 'v2.0.x', 'v2.1e3.x', 'v3.1.x', 'plain'])
    expect(() => sealedVersion(text)).toThrow('no sealed secret')
})

test('a key is wrapped for one tenant and version; another master key wraps it anew, and what it sealed stays', () => {
  use(older)
  const key = makeTenantKey(1)
  const sealed = sealWith(key, 'secret', place)
  const wrapped = wrapKey('tenant-1', key)
  expect(wrapped.master_id).toBe(firstMasterId())
  expect(unwrapKey('tenant-1', 1, wrapped)).toEqual(key)
  expect(() => unwrapKey('tenant-2', 1, wrapped)).toThrow('belongs elsewhere')
  expect(() => unwrapKey('tenant-1', 2, wrapped)).toThrow('belongs elsewhere')
  for (let index = 0; index < wrapped.wrapped.length - 1; index += 1)
    expect(() => unwrapKey('tenant-1', 1, { ...wrapped, wrapped: changedAt(wrapped.wrapped, index) })).toThrow()
  use(`${newer}, ${older}`)
  const again = wrapKey('tenant-1', unwrapKey('tenant-1', 1, wrapped))
  use(newer)
  expect(openWith(unwrapKey('tenant-1', 1, again), sealed, place)).toBe('secret')
  expect(() => unwrapKey('tenant-1', 1, wrapped)).toThrow(MissingKeyError)
})

test('what was sealed with a derived key still opens', () => {
  use(`${newer},${older}`)
  const master = Buffer.from(older, 'base64')
  const id = createHash('sha256').update(master).digest('hex').slice(0, 8)
  const derived = Buffer.from(hkdfSync('sha256', master, 'tenant-1', 'holdfast secret box', 32))
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', derived, nonce)
  cipher.setAAD(Buffer.from(JSON.stringify(['v1', id, 'tenant-1', 'stripe_exports', 'secret', 'row-1'])))
  const bytes = Buffer.concat([nonce, cipher.update('secret'), cipher.final(), cipher.getAuthTag()])
  const sealed = `v1.${id}.${bytes.toString('base64url')}`
  expect(sealedVersion(sealed)).toBeNull()
  expect(openDerived(sealed, place)).toBe('secret')
  expect(() => openDerived(sealed, { ...place, row: 'row-2' })).toThrow('belongs elsewhere')
  use(newer)
  expect(() => openDerived(sealed, place)).toThrow(MissingKeyError)
})

test('without a master key nothing is wrapped, and a wrong one is named at the start', () => {
  use('')
  expect(firstMasterId()).toBeNull()
  expect(() => wrapKey('tenant-1', makeTenantKey(1))).toThrow('ENCRYPTION_KEYS')
  use('short')
  expect(() => firstMasterId()).toThrow('ENCRYPTION_KEYS: must be')
})
