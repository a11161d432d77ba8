// The tenant of running code: it comes from one place, dies with its transaction, and never mixes with another.
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import { isListening, onNotification } from '@/libs/db/notifications'
import { registryDb, tenantDb, tenantQuery } from '@/libs/db/tenant-db'
import { env } from '@/libs/env'
import { newId } from '@/libs/ids'
import { findTenantRouting } from '@/libs/tenancy/resolve-tenant'
import {
  currentContext,
  findContext,
  getTenantContext,
  jobActor,
  runInNewTenant,
  runInTenant,
  runOutsideTenant,
  runWithoutTransaction,
  setTenantContext,
  systemActor,
} from '@/libs/tenancy/tenant-context'
import { whenHeard } from '../support/heard'
import { asSuperuser, createTenant, createWorld } from '../support/world'

const { acme, globex } = await createWorld()

const tenantInDatabase = async () =>
  (await tenantQuery<{ tenant: string }>('select app.tenant_id() as tenant'))[0]?.tenant
const transactionId = async () => (await tenantQuery<{ id: string }>('select pg_current_xact_id()::text as id'))[0]?.id
const addCustomer = (externalId: string) =>
  tenantQuery('insert into customers (id, external_id) values ($1, $2)', [newId(), externalId])
const hasCustomer = async (externalId: string) =>
  (await asSuperuser('select from customers where external_id = $1', [externalId])).length > 0

describe('runInTenant', () => {
  test('is one transaction that commits when the work returns', async () => {
    const ids = await runInTenant(acme.id, systemActor(), async () => {
      await addCustomer('committed')
      expect(await hasCustomer('committed')).toBe(false)
      return [await transactionId(), await transactionId(), await tenantInDatabase()]
    })
    expect(ids[0]).toBe(ids[1])
    expect(ids[2]).toBe(acme.id)
    expect(await hasCustomer('committed')).toBe(true)
  })

  test('leaves nothing behind when the work throws', async () => {
    const work = runInTenant(acme.id, systemActor(), async () => {
      await addCustomer('thrown')
      throw new Error('enough')
    })
    await expect(work).rejects.toThrow('enough')
    expect(await hasCustomer('thrown')).toBe(false)
  })

  test('does not report success for a transaction that an error, swallowed by the work, had already ended', async () => {
    const work = runInTenant(acme.id, systemActor(), async () => {
      await addCustomer('swallowed')
      await tenantQuery('select 1 / 0').catch(() => null)
      return 'fine'
    })
    await expect(work).rejects.toThrow(/rolled back/)
    expect(await hasCustomer('swallowed')).toBe(false)
  })

  test('a nested call for the same tenant joins, so that inner work ends with the outer one', async () => {
    const work = runInTenant(acme.id, systemActor(), async () => {
      const outer = await transactionId()
      await runInTenant(acme.id, jobActor('inner'), async () => {
        expect(await transactionId()).toBe(outer)
        await addCustomer('nested')
      })
      throw new Error('outer fails')
    })
    await expect(work).rejects.toThrow('outer fails')
    expect(await hasCustomer('nested')).toBe(false)
  })

  test('a nested call for another tenant is refused: one transaction, one tenant', async () => {
    const work = runInTenant(acme.id, systemActor(), () => runInTenant(globex.id, systemActor(), async () => 'never'))
    await expect(work).rejects.toThrow(/another/)
  })

  test('an unknown tenant is not found', async () => {
    await expect(runInTenant(newId(), systemActor(), async () => 1)).rejects.toMatchObject({ code: 'not_found' })
  })

  test('stale routing is read again once, and the work runs once', async () => {
    const tenant = await createTenant('moved')
    const stale = await findTenantRouting({ id: tenant.id })
    await asSuperuser('update tenant_states set epoch = 2 where tenant_id = $1', [tenant.id])
    await asSuperuser('update placements set epoch = 2 where tenant_id = $1', [tenant.id])
    let runs = 0
    const seen = await runInTenant(stale ?? tenant.id, systemActor(), async () => {
      runs += 1
      return tenantInDatabase()
    })
    expect([seen, runs]).toEqual([tenant.id, 1])
  })

  test('many at once on few connections, each sees its own tenant and its own rows', async () => {
    const tenants = [acme, globex]
    await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const tenant = tenants[index % 2] ?? acme
        await runInTenant(tenant.id, systemActor(), async () => {
          await sleep(index % 3)
          const rows = await tenantDb().selectFrom('customers').select('tenant_id').execute()
          expect(new Set(rows.map((row) => row.tenant_id))).toEqual(new Set([tenant.id]))
          expect(await getTenantContext()).toBe(tenant.id)
        })
      }),
    )
  })
})

describe('connections', () => {
  test('a tenant that keeps many transactions open leaves some to the others', async () => {
    const { promise: end, resolve: finish } = Promise.withResolvers<void>()
    let open = 0
    const busy = Array.from({ length: env().DATABASE_POOL_SIZE + 2 }, () =>
      runInTenant(acme.id, systemActor(), async () => {
        open += 1
        await end
        return tenantInDatabase()
      }),
    )
    await expect.poll(() => open).toBe(env().DATABASE_POOL_SIZE / 2 + 1)
    expect(await runInTenant(globex.id, systemActor(), tenantInDatabase)).toBe(globex.id)
    finish()
    expect(new Set(await Promise.all(busy))).toEqual(new Set([acme.id]))
    expect(open).toBe(busy.length)
  })

  test('whoever makes tenants, one after the other, leaves some to those there are', async () => {
    const { promise: end, resolve: finish } = Promise.withResolvers<void>()
    const busy = Array.from({ length: env().DATABASE_POOL_SIZE + 2 }, () =>
      runInNewTenant<never, void>(
        async () => {
          await end
          throw new Error('not made')
        },
        async () => undefined,
      ).catch((error: Error) => error.message),
    )
    expect(await runInTenant(globex.id, systemActor(), tenantInDatabase)).toBe(globex.id)
    finish()
    expect(new Set(await Promise.all(busy))).toEqual(new Set(['not made']))
  })

  test('who waits too long behind its own is turned away, and nothing is out of joint', async () => {
    const { promise: end, resolve: finish } = Promise.withResolvers<void>()
    await findTenantRouting({ id: acme.id })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const busy = Array.from({ length: env().DATABASE_POOL_SIZE / 2 + 1 }, () =>
      runInTenant(acme.id, systemActor(), () => end),
    )
    const late = runInTenant(acme.id, systemActor(), tenantInDatabase).catch((error: unknown) => error)
    await new Promise((resolve) => setImmediate(resolve))
    vi.advanceTimersByTime(5_000)
    vi.useRealTimers()
    expect(await late).toMatchObject({ code: 'unavailable', details: { retry_after: 1 } })
    finish()
    await Promise.all(busy)
    expect(await runInTenant(acme.id, systemActor(), tenantInDatabase)).toBe(acme.id)
  })
})

describe('the handle dies with its transaction', () => {
  test('work left running after the commit is refused, not carried out in the next transaction', async () => {
    let late: Promise<unknown> = Promise.resolve()
    await runInTenant(acme.id, systemActor(), async () => {
      late = sleep(20).then(() => addCustomer('late'))
    })
    await expect(late).rejects.toThrow(/has ended/)
    expect(await hasCustomer('late')).toBe(false)
  })

  test('a query builder kept from inside is dead outside', async () => {
    const kept = await runInTenant(acme.id, systemActor(), async () => ({
      query: tenantDb().selectFrom('customers').selectAll(),
    }))
    await expect(kept.query.execute()).rejects.toThrow(/No tenant context/)
  })

  test('outside of a context every way to the data throws', async () => {
    expect(findContext()).toBeNull()
    for (const open of [tenantDb, registryDb, currentContext]) expect(open).toThrow(/No tenant context/)
    await expect(tenantQuery('select 1')).rejects.toThrow(/No tenant context/)
    expect(await getTenantContext()).toBeNull()
  })
})

describe('setTenantContext', () => {
  test('holds for the rest of the flow, each statement a transaction of its own', async () => {
    await setTenantContext(acme.id)
    expect(await getTenantContext()).toBe(acme.id)
    expect(await tenantInDatabase()).toBe(acme.id)
    expect(await transactionId()).not.toBe(await transactionId())
    await setTenantContext(globex.id)
    expect(await getTenantContext()).toBe(globex.id)
    expect(await tenantInDatabase()).toBe(globex.id)
  })

  test('does not reach a flow beside it', async () => {
    const flow = async (id: string) => {
      await setTenantContext(id)
      await sleep(5)
      return [await getTenantContext(), await tenantInDatabase()]
    }
    const [one, two] = await Promise.all([
      runOutsideTenant(() => flow(acme.id)),
      runOutsideTenant(() => flow(globex.id)),
    ])
    expect(one).toEqual([acme.id, acme.id])
    expect(two).toEqual([globex.id, globex.id])
  })

  test('a request cannot change its tenant with it', async () => {
    const actor = { ...systemActor(), kind: 'user' as const }
    await runOutsideTenant(() =>
      runInTenant(acme.id, actor, async () => {
        await expect(setTenantContext(globex.id)).rejects.toMatchObject({ code: 'forbidden' })
        await setTenantContext(acme.id)
        expect(await tenantInDatabase()).toBe(acme.id)
      }),
    )
    await runOutsideTenant(() =>
      runWithoutTransaction(acme.id, actor, () =>
        expect(setTenantContext(globex.id)).rejects.toMatchObject({ code: 'forbidden' }),
      ),
    )
  })

  test('a tenant that is not there is an error', async () => {
    await runOutsideTenant(() => expect(setTenantContext(newId())).rejects.toMatchObject({ code: 'not_found' }))
  })

  test('an open transaction is not left for another tenant, not even by the system', async () => {
    const work = runOutsideTenant(() =>
      runInTenant(acme.id, systemActor(), async () => {
        await setTenantContext(globex.id)
        await addCustomer('whose')
      }),
    )
    await expect(work).rejects.toMatchObject({ code: 'forbidden' })
    expect(await hasCustomer('whose')).toBe(false)
  })
})

describe('notifications', () => {
  test('a change in the registry is heard of within a second', async () => {
    const heard: unknown[] = []
    const stop = onNotification('registry', (message) => heard.push(message))
    await expect.poll(isListening, { timeout: 10_000 }).toBe(true)
    await asSuperuser("update tenants set name = 'Acme Two' where id = $1", [acme.id])
    await expect.poll(() => heard, whenHeard).toContainEqual({ table: 'tenants', tenant_id: acme.id, id: acme.id })
    stop()
  })

  test('a lost connection comes back, and says that something may have been missed', async () => {
    const heard: unknown[] = []
    const stop = onNotification('registry', (message) => heard.push(message))
    await asSuperuser(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'holdfast notifications' and datname = current_database()",
    )
    await expect.poll(() => heard.includes(null), { timeout: 10_000 }).toBe(true)
    await asSuperuser("update tenants set name = 'Acme Three' where id = $1", [acme.id])
    await expect.poll(() => heard, whenHeard).toContainEqual({ table: 'tenants', tenant_id: acme.id, id: acme.id })
    stop()
  })
})
