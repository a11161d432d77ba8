// Around midnight of the first in UTC writers of a tenant go one after the other: all that is sent then is done all the same.
import { beforeAll, expect, test } from 'vitest'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { moveClock, stopClock } from '../support/movable-clock'
import { makePartition } from '../support/usage-history'
import { asSystem, createTenant, createWorld } from '../support/world'

await createWorld()
const tenant = await createTenant('turn')
const now = new Date()
const FIRST = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1)
const METER = 'tokens'

beforeAll(async () => {
  await stopClock()
  for (const at of [FIRST - 60_000, FIRST]) await makePartition(`${new Date(at).toISOString().slice(0, 7)}-01`)
  await asSystem(tenant, () =>
    tenantQuery("insert into meters (id, slug, name, unit, aggregation) values ($1, $2, $2, '', 'SUM')", [
      newId(),
      METER,
    ]),
  )
})

const reserve = async (until: number) => {
  const id = newId()
  await asSystem(tenant, () =>
    tenantQuery('select app.reserve_usage($1, $2, $3, $4, $5, $6, $7)', [
      tenant.id,
      'UTC',
      tenant.customer.external_id,
      METER,
      2,
      new Date(until).toISOString(),
      id,
    ]),
  )
  return id
}
/** As the database answers it, without another try. */
const settle = (id: string) =>
  asSystem(tenant, async () => {
    const [row] = await tenantQuery<{ value: { status: string } }>(
      'select app.settle_reservation($1, $2, $3) as value',
      [tenant.id, 'UTC', id],
    )
    return row?.value.status
  })

test.each([-120_000, 120_000])('what was held is settled by many at once, %d ms from it', async (distance) => {
  await moveClock(FIRST + distance)
  const held: string[] = []
  for (let count = 0; count < 12; count += 1) held.push(await reserve(FIRST + 900_000))
  expect(await Promise.all(held.map(settle))).toEqual(held.map(() => 'settled'))
})
