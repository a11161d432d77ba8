// Keys cannot be guessed, mistyped ones cost no look-up, and a key works only while everything it stands on does.
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ApiKey, createKey, hashKey, isKey, isLiving } from '@/libs/auth/api-key'

describe('form', () => {
  test('hf_<mode>_, 43 characters of secret, 6 of checksum', () => {
    for (const mode of ['live', 'test'] as const) {
      const key = createKey(mode)
      expect(key).toMatch(new RegExp(`^hf_${mode}_[0-9A-Za-z]{49}$`))
      expect(isKey(key)).toBe(true)
    }
  })

  test('no two of 20,000 are alike, and every character is as likely as every other', () => {
    const keys = Array.from({ length: 20_000 }, () => createKey('live'))
    expect(new Set(keys).size).toBe(keys.length)
    const counts = new Map<string, number>()
    for (const key of keys)
      for (const character of key.slice(8, -6)) counts.set(character, (counts.get(character) ?? 0) + 1)
    expect(counts.size).toBe(62)
    const expected = (keys.length * 43) / 62
    for (const count of counts.values()) expect(Math.abs(count - expected) / expected).toBeLessThan(0.06)
  })

  test('the checksum is the CRC-32 of what stands before it, in base 62', () => {
    const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
    const key = createKey('live')
    const value = [...key.slice(-6)].reduce((sum, character) => sum * 62 + alphabet.indexOf(character), 0)
    expect(value).toBe(crc32(key.slice(0, -6)))
  })

  test('one wrong character is noticed without asking the database', () => {
    const key = createKey('live')
    fc.assert(
      fc.property(
        fc.integer({ min: 8, max: key.length - 1 }),
        fc.stringMatching(/^[0-9A-Za-z]$/),
        (index, character) =>
          character === key[index] || !isKey(key.slice(0, index) + character + key.slice(index + 1)),
      ),
    )
  })

  test('two swapped neighbours are noticed', () => {
    const key = createKey('live')
    for (let index = 8; index < key.length - 1; index += 1) {
      const swapped = key.slice(0, index) + key[index + 1] + key[index] + key.slice(index + 2)
      if (swapped !== key) expect(isKey(swapped)).toBe(false)
    }
  })

  test('nothing else is a key', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => !isKey(text) && !isKey(`hf_live_${text}`)))
    const key = createKey('live')
    for (const text of [` ${key}`, `${key}\n`, key.toUpperCase(), key.replace('live', 'prod'), key.slice(1)])
      expect(isKey(text)).toBe(false)
  })

  test('what is stored is SHA-256 of the whole key', () => {
    expect(hashKey('hf_live_x').toString('hex')).toBe(
      '3136aa9f364f22174e6fa69c8363c7d229a8914ca1a33e9456b59f1a94c0de21',
    )
  })
})

describe('life', () => {
  const now = Date.parse('2026-11-21T12:00:00Z')
  const key: ApiKey = {
    tenant_id: 't',
    id: 'k',
    name: 'n',
    permissions: [],
    creator_role: 'admin',
    expires_at: null,
    revoked_at: null,
    disabled_at: null,
  }
  test.each([
    ['plain', {}, true],
    ['expiring later', { expires_at: new Date(now + 1) }, true],
    ['expiring this very moment', { expires_at: new Date(now) }, false],
    ['expired', { expires_at: new Date(now - 1) }, false],
    ['revoked', { revoked_at: new Date(now - 1) }, false],
    ['revoked with a date to come', { revoked_at: new Date(now + 1_000) }, false],
    ['of somebody who left', { creator_role: null }, false],
    ['disabled', { disabled_at: new Date(now - 1) }, true],
    ['disabled and revoked', { disabled_at: new Date(now - 2), revoked_at: new Date(now - 1) }, false],
  ])('a key that is %s: %j → %s', (_, change, living) => expect(isLiving({ ...key, ...change }, now)).toBe(living))
})
