// Limits on attempts to get in: one for all processes, exact under attack, and nobody is named by them.
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { countAttempt, forgetAttempts, limitedAddress, returnAttempt } from '@/features/auth/services/auth-limits'
import { asSuperuser, createWorld } from '../support/world'

await createWorld()

const hashOf = (limit: string, key: string) => createHash('sha256').update(`${limit} ${key}`).digest()
const attemptsOf = async (limit: string, key: string) =>
  (
    await asSuperuser<{ attempts: number }>('select attempts from auth_attempts where key_hash = $1', [
      hashOf(limit, key),
    ])
  )[0]?.attempts
async function tryTimes(times: number, key: string): Promise<number> {
  const tries = await Promise.allSettled(Array.from({ length: times }, () => countAttempt('sign_in_account', key)))
  return tries.filter(({ status }) => status === 'fulfilled').length
}

test('of many attempts at the same moment exactly so many get by', async () => {
  expect(await tryTimes(40, 'ann@example.test')).toBe(10)
  await expect(countAttempt('sign_in_account', 'ann@example.test')).rejects.toMatchObject({
    code: 'rate_limited',
    details: { retry_after: expect.any(Number) },
  })
  expect(await tryTimes(1, 'bob@example.test')).toBe(1)
})

test('who is locked out reads for how long, and what else helps', async () => {
  const waits = (seconds: number) =>
    asSuperuser("insert into auth_attempts values ($1, 500, now() + $2 * interval '1 second')", [
      hashOf('sign_in_account', `${seconds}@example.test`),
      seconds,
    ])
  const words = (seconds: number) =>
    countAttempt('sign_in_account', `${seconds}@example.test`).catch((error: Error) => error.message)
  for (const seconds of [590, 30]) await waits(seconds)
  expect(await words(590)).toBe('Too many attempts. Try again in 10 minutes, or set a new password now.')
  expect(await words(30)).toBe('Too many attempts. Try again in a minute, or set a new password now.')
  for (let attempt = 0; attempt < 5; attempt += 1) await countAttempt('mail_account', 'ann@example.test')
  await expect(countAttempt('mail_account', 'ann@example.test')).rejects.toThrow(
    /^Too many attempts\. Try again in 60 minutes\.$/,
  )
})

test('who has a whole network of IPv6 is one address to the limits', () => {
  const inOne = [
    '2001:db8:1:2::',
    '2001:DB8:1:2::9',
    '2001:0db8:0001:0002:ffff:ffff:ffff:ffff',
    '2001:db8:1:2:0:0:1.2.3.4',
  ]
  expect(new Set(inOne.map(limitedAddress))).toEqual(new Set(['2001:db8:1:2::/64']))
  const others = [
    '2001:db8:1:3::',
    '2001:db8:1::2',
    '::1',
    'fe80::1',
    '1::',
    '::2:3:4:5:6',
    '198.51.100.7',
    '198.51.100.8',
  ]
  expect(new Set(others.map(limitedAddress)).size).toBe(others.length)
  expect(limitedAddress('::1')).toBe('0:0:0:0::/64')
  expect(limitedAddress(null)).toBe('unknown')
})

test('what another process counted counts here', async () => {
  await asSuperuser(`insert into auth_attempts values ($1, 9, now() + interval '10 minutes')`, [
    hashOf('sign_in_account', 'cid@example.test'),
  ])
  expect(await tryTimes(5, 'cid@example.test')).toBe(1)
})

test('refused attempts do not make the wait longer, and when the window is over it begins anew', async () => {
  const key = 'dan@example.test'
  await tryTimes(12, key)
  const [before] = await asSuperuser<{ resets_at: Date }>('select resets_at from auth_attempts where key_hash = $1', [
    hashOf('sign_in_account', key),
  ])
  await tryTimes(5, key)
  const [after] = await asSuperuser<{ resets_at: Date }>('select resets_at from auth_attempts where key_hash = $1', [
    hashOf('sign_in_account', key),
  ])
  expect(after).toEqual(before)
  await asSuperuser(`update auth_attempts set resets_at = now() - interval '1 second' where key_hash = $1`, [
    hashOf('sign_in_account', key),
  ])
  expect(await tryTimes(12, key)).toBe(10)
})

test('what succeeded is given back, one or all', async () => {
  const key = 'eve@example.test'
  await tryTimes(10, key)
  await returnAttempt('sign_in_account', key)
  expect(await tryTimes(3, key)).toBe(1)
  await forgetAttempts('sign_in_account', key)
  expect(await attemptsOf('sign_in_account', key)).toBe(0)
  await forgetAttempts('sign_in_account', 'never tried')
})

test('rows that have run out go, and no address is kept', async () => {
  await asSuperuser(`update auth_attempts set resets_at = now() - interval '1 hour'`)
  await tryTimes(1, 'fay@example.test')
  const rows = await asSuperuser<{ row: string }>('select to_jsonb(a)::text as row from auth_attempts a')
  expect(rows).toHaveLength(1)
  expect(rows[0]?.row).not.toContain('example.test')
})

test('tenants and the registry do not reach the counters but by counting', async () => {
  const rows = await asSuperuser<{ held: boolean }>(
    `select bool_or(has_table_privilege(role, 'auth_attempts', 'select, insert, update, delete')) as held
     from unnest('{app_tenant,app_platform,app_server,app_operator}'::text[]) role`,
  )
  expect(rows).toEqual([{ held: false }])
})
