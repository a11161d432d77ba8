import { tenantQuery } from '@/libs/db/tenant-db'
import { addDays } from '@/libs/metering/trend'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { readTimeZone } from '@/libs/tenancy/time-zone'
import { dayIn } from '@/libs/tenancy/zoned-day'
import type { ActiveCustomers } from '../schema'

const DAYS = 30

/** How many customers have usage of today or one of the 29 days before, by days of the tenant: a look through an index, and no row of it. */
export async function countActiveCustomers(): Promise<ActiveCustomers> {
  const from = addDays(dayIn(await readTimeZone()), 1 - DAYS)
  const [row] = await tenantQuery<{ customers: number }>(
    `select count(*)::integer as customers from (
       select c.customer_id from usage_counters c
       where c.tenant_id = $1 and c.period = 'day' and c.starts_on >= $2
         and c.meter_id = any (array(select m.id from meters m where m.tenant_id = $1))
       group by c.customer_id
     ) c`,
    [currentContext().tenantId, from],
  )
  return { from, customers: row?.customers ?? 0 }
}
