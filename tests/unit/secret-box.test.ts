import { randomBytes } from 'node:crypto'
import { afterEach, expect, test } from 'vitest'
import { openSecret, type SecretPlace, sealSecret } from '@/libs/crypto/secret-box'
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

test('what was sealed opens again, and never looks the same twice', () => {
  use(older)
  const sealed = sealSecret('sk_test_ü', place)
  expect(openSecret(sealed, place)).toEqual({ secret: 'sk_test_ü', stale: false })
  expect(sealed).not.toContain('sk_test')
  expect(sealSecret('sk_test_ü', place)).not.toBe(sealed)
})

test('it opens in its own place alone', () => {
  use(older)
  const sealed = sealSecret('secret', place)
  for (const change of [{ tenant_id: 'tenant-2' }, { table: 'others' }, { column: 'other' }, { row: 'row-2' }])
    expect(() => openSecret(sealed, { ...place, ...change })).toThrow('belongs elsewhere')
})

test('a changed character anywhere is found', () => {
  use(older)
  const sealed = sealSecret('secret', place)
  const at = (index: number) =>
    `${sealed.slice(0, index)}${sealed[index] === 'A' ? 'B' : 'A'}${sealed.slice(index + 1)}`
  // The last character may hold bits that base64url does not use.
  for (let index = 0; index < sealed.length - 1; index += 1) expect(() => openSecret(at(index), place)).toThrow()
  expect(() => openSecret(sealed.slice(0, 20), place)).toThrow('damaged')
})

test('a new key comes first, and the one before still opens', () => {
  use(older)
  const sealed = sealSecret('secret', place)
  use(`${newer}, ${older}`)
  expect(openSecret(sealed, place)).toEqual({ secret: 'secret', stale: true })
  const again = sealSecret('secret', place)
  use(newer)
  expect(openSecret(again, place)).toEqual({ secret: 'secret', stale: false })
  expect(() => openSecret(sealed, place)).toThrow('No key')
})

test('without a key nothing is sealed, and a wrong key is named at the start', () => {
  use('')
  expect(() => sealSecret('secret', place)).toThrow('ENCRYPTION_KEYS')
  use('short')
  expect(() => sealSecret('secret', place)).toThrow('ENCRYPTION_KEYS: must be')
})
