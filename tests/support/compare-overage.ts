import { tenantQuery } from '@/libs/db/tenant-db'
import { asSystem, type TestTenant } from './world'

export type ComparedOverage = {
  customer: string
  meter: string
  starts_on: string
  reported: string | null
  billed: string | null
}

/**
 * Overage of a tenant by customer, meter and period of usage: as its reports of the months from `since` on say, and as closed billing
 * periods and one that is closed at this moment do. Periods without any are left out. `now` is SQL for the moment. Usage may be some minutes
 * ahead of it, so the month in which the next day lies is asked as well.
 */
export function compareOverage(
  tenant: Pick<TestTenant, 'id'>,
  zone: string,
  since: string,
  now = 'clock_timestamp()',
): Promise<ComparedOverage[]> {
  return asSystem(tenant, () =>
    tenantQuery<ComparedOverage>(
      `with months as (
         select m::date as month from generate_series(date_trunc('month', $3::date::timestamp), (${now} + interval '1 day') at time zone $2, interval '1 month') m
       ),
       billed as (
         select x.customer_id, x.meter_id, x.starts_on, sum(x.overage) as overage from (
           select l.customer_id, l.meter_id, l.starts_on, l.overage from billing_lines l where l.tenant_id = $1
           union all
           select c.customer_id, c.meter_id, c.starts_on, c.overage
           from app.cut_usage($1, $2, coalesce((select max(p.ends_at) from billing_periods p where p.tenant_id = $1), '2020-01-01'),
             ${now}, true) c
         ) x group by 1, 2, 3
       ),
       reported as (
         select r.* from months m cross join lateral app.month_overage($1, $2, null, m.month) r
       )
       select c.external_id as customer, t.slug as meter, coalesce(r.starts_on, b.starts_on)::text as starts_on,
         trim_scale(r.overage)::text as reported, trim_scale(b.overage)::text as billed
       from reported r
       full join billed b on b.customer_id = r.customer_id and b.meter_id = r.meter_id and b.starts_on = r.starts_on
       join customers c on c.tenant_id = $1 and c.id = coalesce(r.customer_id, b.customer_id)
       join meters t on t.tenant_id = $1 and t.id = coalesce(r.meter_id, b.meter_id)
       where (coalesce(r.overage, 0) <> 0 or coalesce(b.overage, 0) <> 0) and coalesce(r.starts_on, b.starts_on) >= $3
       order by 1, 2, 3`,
      [tenant.id, zone, since],
    ),
  )
}
