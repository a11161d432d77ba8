// In a database that is new: nobody has counted the rows of its tables, and what is looked up by a key is found by that key all the same.
import { beforeAll, expect, test } from 'vitest'
import { tenantQuery } from '@/libs/db/tenant-db'
import { runInTenant, systemActor } from '@/libs/tenancy/tenant-context'
import { asSuperuser, createTenant } from '../support/world'

const CUSTOMERS = 300
const tenant = await createTenant('fresh')

beforeAll(async () => {
  await asSuperuser('alter table subscriptions set (autovacuum_enabled = off)')
  await asSuperuser('alter table alert_firings set (autovacuum_enabled = off)')
  await asSuperuser(
    `with tier as (
       insert into tiers (tenant_id, id, slug, name) values ($1, app.uuid_v7(), 'all', 'All') returning id
     ), meter as (
       insert into meters (tenant_id, id, slug, name) values ($1, app.uuid_v7(), 'calls', 'Calls') returning id
     ), rule as (
       insert into alert_rules (tenant_id, id, name, meter_id, kind, threshold) select $1, app.uuid_v7(), 'Used', id, 'usage', 1 from meter
     ), added as (
       insert into customers (tenant_id, id, external_id) select $1, app.uuid_v7(), 'customer ' || n from generate_series(1, $2::integer) n returning id
     )
     insert into subscriptions (tenant_id, id, customer_id, tier_id) select $1, app.uuid_v7(), added.id, tier.id from added, tier`,
    [tenant.id, CUSTOMERS],
  )
})

/** One event of each customer, and how many rows of a table that reads. */
function recordAll(table: string): Promise<number> {
  return runInTenant(tenant.id, systemActor(), async () => {
    await tenantQuery(
      `select app.record_usage($1, 'UTC', array['calls'], array(select 'customer ' || n from generate_series(1, $2::integer) n),
         array_fill(1, array[$2]), array(select generate_series(1, $2)), array_fill(1::numeric, array[$2]),
         array(select gen_random_uuid() from generate_series(1, $2)), null, null, null, null, null, false, false, false, false, false)`,
      [tenant.id, CUSTOMERS],
    )
    const [read] = await tenantQuery<{ rows: number }>(
      'select (seq_tup_read + idx_tup_fetch)::integer as rows from pg_stat_xact_user_tables where relname = $1',
      [table],
    )
    return read?.rows ?? 0
  })
}

test('the subscriptions of a batch are read one for each customer', async () => {
  expect(await recordAll('subscriptions')).toBeLessThan(5 * CUSTOMERS)
})

test('what a rule fired before is read one for each customer', async () => {
  await recordAll('alert_firings')
  expect(await asSuperuser('select from alert_firings where tenant_id = $1', [tenant.id])).toHaveLength(CUSTOMERS)
  expect(await recordAll('alert_firings')).toBeLessThan(5 * CUSTOMERS)
})
