// What a question reads does not grow with the days behind it.
import { beforeAll, expect, test } from 'vitest'
import { POST as postCustomer } from '@/app/api/v1/customers/route'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { POST as postTier } from '@/app/api/v1/tiers/route'
import { POST as track } from '@/app/api/v1/usage/track/route'
import { listCappedCustomers } from '@/features/usage-tracking/services/usage-caps-service'
import { tenantQuery } from '@/libs/db/tenant-db'
import { runInTenant, systemActor } from '@/libs/tenancy/tenant-context'
import { waitForSteadyDay } from '../support/steady-day'
import { asSuperuser, call, createTenant } from '../support/world'

const DAYS = 1_000
/** One row, and what the planner looks at. */
const FEW = 20
await waitForSteadyDay()
const tenant = await createTenant('large')
let customer = ''

async function post(handler: Parameters<typeof call>[0], path: string, body: unknown) {
  const answer = await call(handler, 'POST', path, { as: tenant.api_key, body })
  expect(answer.status).toBeLessThan(300)
  return answer.body
}

/** How many counters `work` reads, from the table or by an index. */
async function countersRead(work: () => Promise<unknown>): Promise<number> {
  return runInTenant(tenant.id, systemActor(), async () => {
    await work()
    const [read] = await tenantQuery<{ rows: number }>(
      `select (seq_tup_read + idx_tup_fetch)::integer as rows from pg_stat_xact_user_tables where relname = 'usage_counters'`,
    )
    return read?.rows ?? 0
  })
}

beforeAll(async () => {
  await post(postMeter, '/api/v1/meters', { slug: 'calls', name: 'Calls' })
  await post(postTier, '/api/v1/tiers', {
    name: 'Small',
    is_default: true,
    usage_caps: { calls: { limit: 100, period: 'day' } },
  })
  const { id } = await post(postCustomer, '/api/v1/customers', { external_id: 'old' })
  customer = id
  await post(track, '/api/v1/usage/track', { meter_id: 'calls', user_id: 'old', event_value: 90 })
  await asSuperuser(
    `insert into usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
     select tenant_id, period, meter_id, starts_on - n, customer_id, 90, 1 from usage_counters, generate_series(1, $2::integer) n
     where tenant_id = $1 and period = 'day'`,
    [tenant.id, DAYS],
  )
  await asSuperuser('analyze usage_counters')
})

test('where a customer stands with its meters', async () => {
  const read = await countersRead(() =>
    tenantQuery('select * from app.customer_usage($1, $2, $3)', [tenant.id, customer, 'UTC']),
  )
  expect(read).toBeLessThan(FEW)
})

test('who is near a cap', async () => {
  const found = { customers: [''] }
  const read = await countersRead(async () => {
    const { data } = await listCappedCustomers({ above: 80, limit: 50 })
    found.customers = data.map((row) => row.customer.external_id)
  })
  expect(found.customers).toEqual(['old'])
  expect(read).toBeLessThan(FEW)
})
