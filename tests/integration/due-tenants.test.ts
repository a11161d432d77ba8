// Which tenants the worker visits: those with messages that are due and that let it in.
import { expect, test } from 'vitest'
import { serverPool } from '@/libs/db/pools'
import { asSuperuser, createTenant, createWorld, setStatus } from '../support/world'

await createWorld()

async function listDue(): Promise<string[]> {
  const { rows } = await serverPool().query<{ tenant_id: string }>(
    'select tenant_id from app.tenants_with_outbox(1000)',
  )
  return rows.map(({ tenant_id }) => tenant_id)
}

test('a tenant that lets no job write is left alone until it does', async () => {
  const tenant = await createTenant('waiting')
  await asSuperuser(
    `insert into outbox (tenant_id, id, topic, payload) values ($1, gen_random_uuid(), 'analytics.event', '{}')`,
    [tenant.id],
  )
  expect(await listDue()).toContain(tenant.id)
  for (const status of ['suspended', 'read_only', 'deleted'] as const) {
    await setStatus(tenant, status)
    expect(await listDue(), status).not.toContain(tenant.id)
  }
  await setStatus(tenant, 'active')
  expect(await listDue()).toContain(tenant.id)
})

test('a tenant without anything due is not visited', async () => {
  const tenant = await createTenant('nothing-due')
  await asSuperuser('update outbox set delivered_at = now() where tenant_id = $1', [tenant.id])
  expect(await listDue()).not.toContain(tenant.id)
})
