import { forgetEnv } from '@/libs/env'
import { newId } from '@/libs/ids'
import { log } from '@/libs/log'
import { median, milliseconds, note } from './measure'
import { type BenchTenant, type BenchWorld, createBenchTenant } from './world'

const EVENTS = Number(process.env.BENCH_STORED_EVENTS ?? 1_000_000)
const DAYS = 30
const ROUNDS = 9
const TOTALS = ['usage_counters', 'usage_totals', 'usage_quarters', 'usage_groups', 'usage_group_totals']
/** Of the tenant that has many. */
const CUSTOMERS = 10_000

type Question = { what: string; query: Record<string, unknown>; target: number | null }

const daily = { time_range: '30d', window: 'DAY' }
const QUESTIONS: Question[] = [
  { what: '30 days by day', query: daily, target: 50 },
  { what: '30 days by day, one customer', query: { ...daily, customer: ['customer-1'] }, target: 50 },
  { what: '30 days by day and region', query: { ...daily, group_by: ['region'] }, target: 50 },
  { what: '30 days by hour', query: { ...daily, window: 'HOUR' }, target: 50 },
  { what: '30 days by day in another zone', query: { ...daily, time_zone: 'America/New_York' }, target: 50 },
  {
    what: '30 days by day in a zone of half hours',
    query: { ...daily, time_zone: 'Asia/Kolkata' },
    target: 50,
  },
  {
    what: '30 days by week in a zone of quarters',
    query: { ...daily, window: 'WEEK', time_zone: 'Asia/Kathmandu' },
    target: 50,
  },
  { what: '30 days by customer', query: { time_range: '30d', group_by: ['customer'] }, target: 50 },
  { what: 'an hour by the minute, from events', query: { window: 'MINUTE' }, target: null },
  {
    what: '30 days by hour in a zone of half hours',
    query: { ...daily, window: 'HOUR', time_zone: 'Asia/Kolkata' },
    target: 50,
  },
]
const QUESTIONS_OF_MANY: Question[] = [
  { what: '30 days by day', query: daily, target: 50 },
  { what: '30 days by day and region', query: { ...daily, group_by: ['region'] }, target: 50 },
  {
    what: '30 days of one region',
    query: { ...daily, filter: { property: 'region', operator: 'eq', value: 'eu' } },
    target: 50,
  },
  { what: '30 days by customer, 10,000 rows', query: { time_range: '30d', group_by: ['customer'] }, target: null },
]

/** Events over the last days, received as they happened, with the running totals that belong to them. */
async function fill({ superuser }: BenchWorld, tenant: BenchTenant, meter: string, days: number): Promise<void> {
  await superuser.query(
    `insert into meters (tenant_id, id, slug, name, group_by) values ($1, $2, 'stored', 'Stored', '{region}')`,
    [tenant.id, meter],
  )
  await superuser.query(
    `do $$
     declare v_month date;
     begin
       for v_month in select m::date from generate_series(date_trunc('month', now() - interval '65 days'), now() - interval '1 day', interval '1 month') m
       loop
         continue when to_regclass('public.usage_events_' || to_char(v_month, 'YYYYMM')) is not null;
         execute format('create table public.%I partition of public.usage_events for values from (%L) to (%L)',
           'usage_events_' || to_char(v_month, 'YYYYMM'), v_month, v_month + interval '1 month');
       end loop;
     end $$`,
  )
  await superuser.query(
    `insert into usage_events (tenant_id, id, meter_id, customer_id, value, occurred_at, received_at, received_month, properties)
     select $1, gen_random_uuid(), $2, c.ids[1 + n % cardinality(c.ids)], n % 10, t.at, t.at, date_trunc('month', t.at at time zone 'UTC')::date,
       jsonb_build_object('region', (array['eu', 'us', 'ap'])[1 + n % 3])
     from generate_series(1, $3::integer) n
     cross join (select array_agg(id order by external_id) as ids from customers where tenant_id = $1) c
     cross join lateral (select date_trunc('day', now()) + interval '1 hour' - n * make_interval(secs => $4::double precision / $3) as at) t`,
    [tenant.id, meter, EVENTS, days * 86_400],
  )
  const day = `(occurred_at at time zone 'UTC')::date`
  const from = 'from usage_events where tenant_id = $1 and meter_id = $2'
  await superuser.query(
    `insert into usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
     select $1, 'day', $2, ${day}, customer_id, sum(value), count(*) ${from} group by 4, 5`,
    [tenant.id, meter],
  )
  await superuser.query(
    `insert into usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
     select tenant_id, 'month', meter_id, date_trunc('month', starts_on::timestamp)::date, customer_id, sum(used), sum(events) from usage_counters
     where tenant_id = $1 and period = 'day' and meter_id = $2 group by 1, 3, 4, 5`,
    [tenant.id, meter],
  )
  await superuser.query(
    `insert into usage_totals (tenant_id, meter_id, day, used, events) select $1, $2, ${day}, sum(value), count(*) ${from} group by 3`,
    [tenant.id, meter],
  )
  await superuser.query(
    `insert into usage_quarters (tenant_id, meter_id, quarter, used, events)
     select $1, $2, date_bin('15 minutes', occurred_at, '2000-01-01 00:00:00+00'), sum(value), count(*) ${from} group by 3`,
    [tenant.id, meter],
  )
  await superuser.query(
    `insert into usage_groups (tenant_id, meter_id, day, group_hash, customer_id, group_values, used, events)
     select $1, $2, ${day}, md5(properties::text)::uuid, customer_id, properties, sum(value), count(*) ${from} group by 3, 4, 5, 6`,
    [tenant.id, meter],
  )
  await superuser.query(
    `insert into usage_group_totals (tenant_id, meter_id, day, group_hash, group_values, used, events)
     select tenant_id, meter_id, day, group_hash, any_value(group_values), sum(used), sum(events) from usage_groups
     where tenant_id = $1 and meter_id = $2 group by 1, 2, 3, 4`,
    [tenant.id, meter],
  )
}

async function copyTotals({ superuser, tenant }: BenchWorld, table: string, owner: string): Promise<void> {
  const { rows } = await superuser.query<{ columns: string }>(
    `select string_agg(attname, ', ') as columns from pg_attribute
     where attrelid = $1::regclass and attnum > 0 and attname <> 'tenant_id' and not attisdropped`,
    [table],
  )
  const columns = rows[0]?.columns ?? ''
  await superuser.query(
    `insert into ${table} (tenant_id, ${columns}) select md5($2)::uuid, ${columns} from ${table} where tenant_id = $1`,
    [tenant.id, owner],
  )
}

/** What a series over a million stored events takes, with row security and all, and whether any table was read through. */
export async function benchQueries(world: BenchWorld): Promise<void> {
  Object.assign(process.env, world.environment)
  forgetEnv()
  log.level = 'warn'
  const { queryUsage } = await import('@/features/usage-tracking/services/usage-query-service')
  const { usageQueryInput } = await import('@/libs/metering/usage-query')
  const { runInTenant, systemActor } = await import('@/libs/tenancy/tenant-context')
  const { tenantQuery } = await import('@/libs/db/tenant-db')
  const { stopNotifications } = await import('@/libs/db/notifications')
  const { closePools } = await import('@/libs/db/pools')
  await fill(world, world.tenant, newId(), DAYS - 1)
  // Others keep theirs in the same tables, so that an index is the sensible way.
  for (const table of TOTALS)
    for (let other = 1; other <= 4; other += 1) await copyTotals(world, table, `other ${other}`)
  const many = await createBenchTenant(world.superuser, 'many', CUSTOMERS)
  // Older than what is asked for, so that no month is in it as a whole.
  await fill(world, many, newId(), DAYS * 2)
  await world.superuser.query(`vacuum analyze usage_events, customers, ${TOTALS.join(', ')}`)

  const raw: number[] = []
  for (let round = 0; round < 3; round += 1) {
    const started = performance.now()
    await world.superuser.query(
      `select date_trunc('day', occurred_at), sum(value), count(*) from usage_events
       where tenant_id = $1 and received_at >= now() - interval '31 days' group by 1`,
      [world.tenant.id],
    )
    raw.push(performance.now() - started)
  }
  const ask = async (tenant: BenchTenant, { what, query, target }: Question) => {
    const hour = new Date(Math.floor((Date.now() - 86_400_000) / 3_600_000) * 3_600_000)
    const range =
      query.window === 'MINUTE'
        ? { from: hour.toISOString(), to: new Date(hour.getTime() + 3_600_000).toISOString() }
        : {}
    const input = usageQueryInput.parse({ ...query, ...range })
    const times: number[] = []
    let scanned: string[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      scanned = await runInTenant(tenant.id, systemActor(), async () => {
        const started = performance.now()
        await queryUsage('stored', input)
        times.push(performance.now() - started)
        const rows = await tenantQuery<{ relname: string }>(
          `select relname from pg_stat_xact_user_tables where relname like 'usage\\_%' and seq_scan > 0 and seq_tup_read > 1000`,
        )
        // What this transaction did is not to be found in the next one's figures.
        await tenantQuery('select pg_stat_force_next_flush()')
        return rows.map(({ relname }) => relname)
      })
    }
    const time = median(times)
    note({
      what: `${what}, ${EVENTS.toLocaleString('en')} events stored${scanned.length > 0 ? `, reads through ${scanned.join(', ')}` : ''}`,
      figure: milliseconds(time),
      yardstick: `${milliseconds(median(raw))} summing the events`,
      ratio: `${(median(raw) / time).toFixed(0)} × faster`,
      target: target === null ? 'for comparison' : `< ${target} ms, by index`,
      reached: target === null ? null : time < target && scanned.length === 0,
    })
  }
  for (const question of QUESTIONS) await ask(world.tenant, question)
  for (const question of QUESTIONS_OF_MANY)
    await ask(many, { ...question, what: `${question.what}, ${CUSTOMERS.toLocaleString('en')} customers` })
  await stopNotifications()
  await closePools()
}
