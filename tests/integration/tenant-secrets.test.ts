// Secrets under a tenant's own key, that key wrapped under a master key: another master key comes in front without anything being
// sealed anew, what is older stays readable, and nothing is lost when the work is broken off.
import { createCipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { POST as connectRoute } from '@/app/api/v1/stripe-exports/route'
import { claimExport } from '@/features/stripe-exports/services/stripe-push-service'
import { renewTenantKeys } from '@/libs/crypto/renew-keys'
import { openSecret, renewKeys, sealSecret } from '@/libs/crypto/tenant-secrets'
import { tenantQuery } from '@/libs/db/tenant-db'
import { forgetEnv } from '@/libs/env'
import { newId } from '@/libs/ids'
import { asSuperuser, asSystem, call, createTenant, createWorld, type TestTenant } from '../support/world'

await createWorld()
const [first, second, third] = [randomBytes(32), randomBytes(32), randomBytes(32)].map((key) => key.toString('base64'))
const idOf = (key = '') => createHash('sha256').update(Buffer.from(key, 'base64')).digest('hex').slice(0, 8)
const before = process.env.ENCRYPTION_KEYS
const use = (...keys: (string | undefined)[]) => {
  process.env.ENCRYPTION_KEYS = keys.join(',')
  forgetEnv()
}
afterAll(() => {
  process.env.ENCRYPTION_KEYS = before
  forgetEnv()
})
let tenant: TestTenant
let made = 0
beforeEach(async () => {
  use(first)
  made += 1
  tenant = await createTenant(`sealed-${made}`)
  await asSuperuser('delete from tenant_keys')
})
const placeOf = (row: string, of = tenant) => ({ tenant_id: of.id, table: 'stripe_exports', column: 'secret', row })
const seal = (secret: string, row: string, of = tenant) => asSystem(of, () => sealSecret(secret, placeOf(row, of)))
const open = async (sealed: string, row: string, of = tenant) =>
  (await asSystem(of, () => openSecret(sealed, placeOf(row, of)))).secret
const keys = () =>
  asSuperuser<{ version: number; master_id: string; wrapped: string }>(
    'select version, master_id, wrapped from tenant_keys where tenant_id = $1 order by version',
    [tenant.id],
  )

describe('a tenant', () => {
  test('gets one key, however many seal at once, and it is never in the clear', async () => {
    const rows = Array.from({ length: 8 }, () => newId())
    const sealed = await Promise.all(rows.map((row) => seal(`secret of ${row}`, row)))
    expect(await keys()).toHaveLength(1)
    for (const [index, row] of rows.entries()) expect(await open(sealed[index] ?? '', row)).toBe(`secret of ${row}`)
    const logged = await asSuperuser<{ text: string }>(
      "select to_jsonb(l)::text || coalesce((select to_jsonb(d)::text from audit_details d where d.tenant_id = l.tenant_id limit 1), '') as text from audit_logs l where tenant_id = $1 and action like 'tenant_key.%'",
      [tenant.id],
    )
    expect(logged).toHaveLength(1)
    expect(logged[0]?.text).not.toContain((await keys())[0]?.wrapped ?? 'x')
  })

  test("cannot open what is another's, nor use its key", async () => {
    const other = await createTenant(`sealed-${made}-other`)
    const row = newId()
    const sealed = await seal('theirs', row)
    await seal('own', row, other)
    await expect(open(sealed, row, other)).rejects.toThrow('belongs elsewhere')
    await expect(asSystem(other, () => openSecret(sealed, placeOf(row)))).rejects.toThrow('own tenant')
    // Another tenant's key under one's own name opens nothing either.
    await asSuperuser(
      'update tenant_keys k set wrapped = o.wrapped from tenant_keys o where k.tenant_id = $1 and o.tenant_id = $2',
      [other.id, tenant.id],
    )
    await expect(seal('own', row, other)).rejects.toThrow('belongs elsewhere')
    await asSuperuser('delete from tenant_keys where tenant_id = $1', [other.id])
  })
})

describe('another master key', () => {
  test('wraps the keys anew; what they sealed is not touched and opens with it alone', async () => {
    const row = newId()
    const sealed = await seal('secret', row)
    use(second, first)
    expect(await open(sealed, row)).toBe('secret')
    // In front, but nothing renewed yet: the older one is still needed, and is still what opens.
    use(second)
    await expect(open(sealed, row)).rejects.toThrow(`None of ENCRYPTION_KEYS is the key ${idOf(first)}`)
    expect(await renewTenantKeys()).toEqual({ renewed: 0, left: 1 })
    use(second, first)
    expect(await renewTenantKeys()).toEqual({ renewed: 1, left: 0 })
    expect(await renewTenantKeys()).toEqual({ renewed: 0, left: 0 })
    use(second)
    expect(await open(sealed, row)).toBe('secret')
    expect((await keys()).map(({ master_id }) => master_id)).toEqual([idOf(second)])
  })

  test('is no reason to lose anything when renewing is broken off', async () => {
    const rows = Array.from({ length: 6 }, () => newId())
    const tenants = [tenant, ...(await Promise.all([1, 2, 3].map((n) => createTenant(`sealed-${made}-${n}`))))]
    const sealed = new Map<string, string>()
    for (const one of tenants)
      for (const row of rows) sealed.set(`${one.id} ${row}`, await seal(`${one.id} ${row}`, row, one))
    use(second, first)
    // One is renewed, one breaks off before its commit, one is renewed by two at once; then the rest.
    await asSystem(tenants[0] ?? tenant, renewKeys)
    await expect(
      asSystem(tenants[1] ?? tenant, async () => {
        await renewKeys()
        throw new Error('killed')
      }),
    ).rejects.toThrow('killed')
    await Promise.all([asSystem(tenants[2] ?? tenant, renewKeys), asSystem(tenants[2] ?? tenant, renewKeys)])
    for (const one of tenants)
      for (const row of rows)
        expect(await open(sealed.get(`${one.id} ${row}`) ?? '', row, one)).toBe(`${one.id} ${row}`)
    expect((await renewTenantKeys()).left).toBe(0)
    use(third, second)
    await renewTenantKeys()
    use(third)
    for (const one of tenants)
      for (const row of rows)
        expect(await open(sealed.get(`${one.id} ${row}`) ?? '', row, one)).toBe(`${one.id} ${row}`)
  })

  test('after the only one was lost seals with a new key; what it sealed does not open', async () => {
    const row = newId()
    const sealed = await seal('gone', row)
    use(second)
    const again = await seal('entered again', row)
    expect((await keys()).map(({ version, master_id }) => [version, master_id])).toEqual([
      [1, idOf(first)],
      [2, idOf(second)],
    ])
    expect(await open(again, row)).toBe('entered again')
    await expect(open(sealed, row)).rejects.toThrow('None of ENCRYPTION_KEYS')
    // The lost one turns up again.
    use(second, first)
    expect(await open(sealed, row)).toBe('gone')
  })
})

describe('what was sealed before there were wrapped keys', () => {
  const derive = (secret: string, row: string) => {
    const master = Buffer.from(first ?? '', 'base64')
    const key = Buffer.from(hkdfSync('sha256', master, tenant.id, 'holdfast secret box', 32))
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', key, nonce)
    cipher.setAAD(Buffer.from(JSON.stringify(['v1', idOf(first), tenant.id, 'stripe_exports', 'secret', row])))
    const bytes = Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()])
    return `v1.${idOf(first)}.${bytes.toString('base64url')}`
  }
  const connect = async () => {
    const answer = await call(connectRoute, 'POST', '/api/v1/stripe-exports', {
      as: tenant.users.owner,
      tenant,
      body: { secret_key: 'sk_test_0123456789abcdef' },
    })
    expect(answer.status).toBe(201)
    await asSuperuser('update stripe_exports set secret = $2 where tenant_id = $1', [
      tenant.id,
      derive('sk_test_0123456789abcdef', answer.body.id),
    ])
    return answer.body.id as string
  }
  const kept = async () =>
    (await asSuperuser<{ secret: string }>('select secret from stripe_exports where tenant_id = $1', [tenant.id]))[0]
      ?.secret ?? ''

  test('is read, and sealed anew by the worker, whatever state its connection is in', async () => {
    const id = await connect()
    await asSuperuser("update stripe_exports set enabled = false, status = 'refused' where tenant_id = $1", [tenant.id])
    expect((await renewTenantKeys()).left).toBe(0)
    expect(await kept()).toMatch(/^v2\.1\./)
    expect(await open(await kept(), id)).toBe('sk_test_0123456789abcdef')
  })

  test('is read, and sealed anew in passing, when it is used', async () => {
    await connect()
    const claimed = await asSystem(tenant, claimExport)
    expect(claimed?.secret_key).toBe('sk_test_0123456789abcdef')
    expect(await kept()).toMatch(/^v2\.1\./)
  })

  test('and under a lost key is told, and left as it is', async () => {
    await connect()
    const sealed = await kept()
    use(second)
    expect((await renewTenantKeys()).left).toBeGreaterThan(0)
    expect(await kept()).toBe(sealed)
    expect((await asSystem(tenant, claimExport))?.secret_key).toBeNull()
  })
})

test('a key of the API that may not seal sees no key', async () => {
  await seal('secret', newId())
  const rows = await asSystem(tenant, () => tenantQuery('select version from tenant_keys'))
  expect(rows).toHaveLength(1)
  await expect(asSystem(tenant, () => tenantQuery('delete from tenant_keys'))).rejects.toThrow(/denied/)
})
