// What a report reads grows with the customers and meters there are, not with the days of each.
import { expect, test } from 'vitest'
import { reportMonth } from '@/features/reports/services/report-service'
import { reportDailyUsage, reportUsage } from '@/features/usage-tracking/services/usage-report-service'
import { tenantQuery } from '@/libs/db/tenant-db'
import { addDays } from '@/libs/metering/trend'
import { runInTenant, systemActor } from '@/libs/tenancy/tenant-context'
import { asSuperuser, createTenant } from '../support/world'

const tenant = await createTenant('busy')

test('who used most of every meter in a month, and what one customer used day by day', async () => {
  const [first] = await asSuperuser<{ day: string }>(
    `select date_trunc('month', (now() at time zone 'UTC')::date - interval '1 month')::date::text as day`,
  )
  // Ten customers each use one of twenty meters every day of a month; the one asked about another one, once.
  await asSuperuser(
    `with metered as (
       insert into meters (tenant_id, id, slug, name) select $1, app.uuid_v7(), 'meter_' || n, 'Meter' from generate_series(1, 20) n returning id, slug
     ), added as (
       insert into customers (tenant_id, id, external_id) select $1, app.uuid_v7(), 'busy ' || n from generate_series(0, 199) n returning id, external_id
     ), days as (
       select m.id as meter_id, c.id as customer_id, d::date as day
       from metered m
       join added c on substr(c.external_id, 6)::integer % 20 = substr(m.slug, 7)::integer % 20
       cross join generate_series($2::date, $2::date + 27, interval '1 day') d
       where c.external_id <> 'busy 0' or d = $2::date
     ), totals as (
       insert into usage_totals (tenant_id, meter_id, day, used, events) select $1, meter_id, day, count(*), count(*) from days group by 2, 3
     )
     insert into usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
     select $1, 'day', meter_id, day, customer_id, 1, 1 from days
     union all
     select $1, 'month', meter_id, $2::date, customer_id, count(*), count(*) from days group by 3, 5`,
    [tenant.id, first?.day],
  )
  await asSuperuser('analyze usage_counters, usage_totals, customers, meters')
  const looked = (work: () => Promise<unknown>) =>
    runInTenant(tenant.id, systemActor(), async () => {
      const answer = await work()
      const [read] = await tenantQuery<{ rows: number; scans: number }>(
        `select (seq_tup_read + idx_tup_fetch)::integer as rows, (seq_scan + idx_scan)::integer as scans from pg_stat_xact_user_tables
         where relname = 'usage_counters'`,
      )
      return { answer, ...read }
    })
  const report = await looked(() => reportMonth({ month: first?.day.slice(0, 7), format: 'json' }))
  expect(report.answer).toMatchObject({ top_customers: { length: 20 } })
  // A row for each, not one for each of their days.
  expect(report.rows).toBeLessThan(1_000)
  const daily = await looked(() =>
    reportDailyUsage({ from: first?.day, customer: 'busy 0', group_by: 'meter', fill: 'false', limit: 50 }),
  )
  expect(daily.answer).toMatchObject({ data: [{ day: first?.day, used: 1 }] })
  // Twenty meters in two months and the days of one of them, not all days of all.
  expect(daily.scans).toBeLessThan(150)
  // Up to a day after which nothing was used: what was used of the month is the whole month.
  const running = await looked(() =>
    reportUsage({ from: first?.day, to: addDays(first?.day ?? '', 28), group_by: 'customer', limit: 50 }),
  )
  expect(running.answer).toMatchObject({ data: { length: 50, 0: { used: 28 } } })
  expect(running.rows).toBeLessThan(1_000)
})
