// How many customers a tenant has that use something: exactly, however many there are.
import { expect, test } from 'vitest'
import { GET as countRoute } from '@/app/api/v1/usage/active-customers/route'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { addDays } from '@/libs/metering/trend'
import { dayIn } from '@/libs/tenancy/zoned-day'
import { waitForSteadyDay } from '../support/steady-day'
import { asSuperuser, asSystem, call, createWorld } from '../support/world'

await waitForSteadyDay()
const { acme, globex } = await createWorld()
const ask = (as = acme.users.compliance, tenant = acme) =>
  call(countRoute, 'GET', '/api/v1/usage/active-customers', { as, tenant })

test('are counted once each, of thirty days, of one tenant, for those who see usage', async () => {
  const from = addDays(dayIn('UTC'), -29)
  expect(await ask()).toMatchObject({ status: 200, body: { from, customers: 0 } })
  await asSystem(acme, async () => {
    for (const slug of ['calls', 'bytes'])
      await tenantQuery(`insert into meters (id, slug, name, unit) values ($1, $2, $2, '')`, [newId(), slug])
  })
  await asSuperuser(
    `insert into customers (tenant_id, id, external_id) select $1, app.uuid_v7(), 'many ' || n from generate_series(1, 1200) n`,
    [acme.id],
  )
  const use = (customers: string, day: string) =>
    asSuperuser(
      `insert into usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
       select $1, 'day', m.id, $3, c.id, 1, 1 from meters m join customers c using (tenant_id)
       where tenant_id = $1 and c.external_id like $2`,
      [acme.id, customers, day],
    )
  await use('many %', addDays(from, -1))
  expect((await ask()).body.customers).toBe(0)
  await use('many 1%', from)
  await use('many 10%', addDays(from, 29))
  expect((await ask()).body.customers).toBe(1 + 10 + 100 + 201)
  expect((await ask(globex.users.compliance, globex)).body.customers).toBe(0)
  expect((await ask(acme.users.customer)).status).toBe(403)
})
