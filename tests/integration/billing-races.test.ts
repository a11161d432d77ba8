// Everything at once: usage that arrives, corrections of it, of corrected and of billed events, customers whose months begin anew, and cuts
// by two at a time. In the end every event is billed once, in one period, and nothing has drifted.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { POST as closeRoute } from '@/app/api/v1/billing-periods/route'
import { POST as correctRoute } from '@/app/api/v1/usage/correct/route'
import { POST as reserveRoute } from '@/app/api/v1/usage/reserve/route'
import { POST as settleRoute } from '@/app/api/v1/usage/settle/route'
import { setSubscription } from '@/features/customers/services/subscription-service'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { type IngestProcess, startIngestProcess } from '../support/ingest-process'
import { insertMeters } from '../support/meters'
import { asSuperuser, asSystem, call, createTenant, createWorld, type TestTenant } from '../support/world'

await createWorld()
const ZONE = 'America/New_York'
const METERS = [
  { slug: 'sum', aggregation: 'SUM', group_by: ['kind'] },
  { slug: 'count', aggregation: 'COUNT' },
  { slug: 'unique', aggregation: 'UNIQUE_COUNT', value_property: 'device' },
  { slug: 'max', aggregation: 'MAX' },
  { slug: 'min', aggregation: 'MIN' },
  { slug: 'avg', aggregation: 'AVG' },
  { slug: 'latest', aggregation: 'LATEST' },
  { slug: 'filtered', aggregation: 'SUM', filter: { property: 'kind', operator: 'eq', value: 'a' } },
]
const CUSTOMERS = ['ann', 'bob', 'cyd']
let tenant: TestTenant
let processes: IngestProcess[] = []

beforeAll(async () => {
  tenant = await createTenant('raced', { time_zone: ZONE })
  processes = await Promise.all([startIngestProcess(), startIngestProcess()])
  await asSystem(tenant, async () => {
    await insertMeters(METERS)
    const id = newId()
    await tenantQuery(
      "insert into tiers (id, slug, name, price_minor, currency, billing_interval, is_default) values ($1, 'only', 'Only', 0, 'EUR', 'month', true)",
      [id],
    )
    await tenantQuery(
      `insert into tier_caps (id, tier_id, meter_id, cap_limit, behaviour, period) select gen_random_uuid(), $1, m.id, 25, 'overflow', 'month'
       from meters m where m.tenant_id = $2 and m.slug in ('sum', 'count', 'max')`,
      [id, tenant.id],
    )
    for (const name of CUSTOMERS)
      await tenantQuery('insert into customers (id, external_id) values ($1, $2)', [newId(), name])
  })
})
afterAll(() => Promise.all(processes.map((each) => each.end())))

test('nothing is billed twice or forgotten', async () => {
  const post = (handler: Parameters<typeof call>[0], body: unknown) =>
    call(handler, 'POST', '/x', { as: tenant.api_key, body })
  const until = Date.now() + Number(process.env.RACE_MS ?? 6_000)
  const going = () => Date.now() < until
  let sent = 0
  const wrong: unknown[] = []
  const expectOneOf = (what: string, status: number, ...good: number[]) => {
    if (!good.includes(status)) wrong.push([what, status])
  }
  const writer = async (which: number) => {
    for (let round = which; going(); round += 1) {
      const first = sent
      sent += 12
      const answer = await fetch(`${processes[which % 2]?.url}/api/v1/usage/track`, {
        method: 'POST',
        headers: { authorization: `Bearer ${tenant.api_key}`, 'content-type': 'application/json' },
        body: JSON.stringify(
          Array.from({ length: 12 }, (_, index) => ({
            meter_id: METERS[(first + index) % METERS.length]?.slug,
            user_id: CUSTOMERS[(first + index + round) % CUSTOMERS.length],
            event_value: ((first + index * 7) % 40) / 4 - 2,
            event_id: `e${first + index}`,
            ...(index % 3 ? {} : { timestamp: Date.now() - ((first + index) % 34) * 86_400_000 }),
            properties: { kind: ['a', 'b'][index % 2], device: `d${(first + index) % 11}` },
          })),
        ),
      })
      expectOneOf('track', answer.status, 200)
      await answer.arrayBuffer()
    }
  }
  const corrector = async () => {
    for (let round = 0; going(); round += 1) {
      if (sent < 50) {
        await sleep(20)
        continue
      }
      // The same few again and again: amended twice, cancelled when amended, amended when cancelled.
      const items = Array.from({ length: 6 }, (_, index) => {
        const event_id = `e${(round * 5 + index * 13) % sent}`
        return (round + index) % 3 === 0
          ? { action: 'cancel', event_id }
          : {
              action: 'amend',
              event_id,
              event_value: ((round + index) % 30) / 8,
              ...(index % 2
                ? { user_id: CUSTOMERS[round % 3] }
                : { properties: { kind: 'a', device: `d${round % 11}` } }),
            }
      })
      expectOneOf('correct', (await post(correctRoute, items)).status, 200)
    }
  }
  const closer = async () => {
    while (going()) {
      expectOneOf(
        'close',
        (await post(closeRoute, { ends_at: new Date(Date.now() - 1).toISOString() })).status,
        201,
        422,
      )
      await sleep(150)
    }
  }
  const mover = async () => {
    for (let round = 0; going(); round += 1) {
      await asSystem(tenant, () =>
        setSubscription(CUSTOMERS[round % 3] ?? 'ann', {
          tier: 'only',
          anchor_day: [1, 10, 31, 20, 29][round % 5] ?? 1,
        }),
      )
      await sleep(120)
    }
  }
  const holder = async () => {
    while (going()) {
      const held = await post(reserveRoute, { meter_id: 'sum', user_id: 'ann', amount: 3 })
      expectOneOf('reserve', held.status, 200, 201)
      const id = held.body.reservation?.id
      if (id) expectOneOf('settle', (await post(settleRoute, { reservation_id: id, amount: 2 })).status, 200)
      await sleep(40)
    }
  }
  await Promise.all([writer(0), writer(1), writer(2), corrector(), corrector(), closer(), closer(), mover(), holder()])
  expect(wrong).toEqual([])
  await sleep(20)
  const end = new Date().toISOString()
  await sleep(20)
  expect((await post(closeRoute, { ends_at: end })).status).toBe(201)
  const drift = await asSystem(tenant, () =>
    tenantQuery(
      'select table_name, row_key, stored, expected from app.find_usage_drift($1, $2, null, null) where table_name is not null',
      [tenant.id, ZONE],
    ),
  )
  expect(drift).toEqual([])
  // What does not add up, period by period as they were billed, against the events that stand.
  const rows = await asSuperuser<{
    key: string
    billed: string
    value: string | null
    overage: string | null
    beyond: string | null
  }>(
    `with spans as (
       select l.customer_id, l.meter_id, l.starts_on, l.ends_on, sum(l.quantity) as billed, sum(l.overage) as overage, max(l.cap_limit) as cap
       from billing_lines l where l.tenant_id = $1 group by 1, 2, 3, 4
     ),
     standing as (
       select e.* from usage_events e where e.tenant_id = $1 and e.weight = 1
         and not exists (select 1 from usage_events c where c.tenant_id = $1 and c.corrects = e.id and c.weight = -1)
     ),
     valued as (
       select s.*, m.slug, (
         select case m.aggregation when 'SUM' then coalesce(sum(e.value), 0) when 'COUNT' then count(*) when 'MIN' then min(e.value) when 'MAX' then max(e.value)
           when 'AVG' then app.exact_quotient(sum(e.value), count(*)) when 'UNIQUE_COUNT' then count(distinct e.properties ->> 'device')
           else (array_agg(e.value order by e.occurred_at desc, e.received_at desc))[1] end
         from standing e where e.customer_id = s.customer_id and e.meter_id = s.meter_id
           and e.occurred_at >= app.day_start(s.starts_on, $2) and e.occurred_at < app.day_start(s.ends_on, $2)) as value
       from spans s join meters m on m.tenant_id = $1 and m.id = s.meter_id
     )
     select c.external_id || ' ' || v.slug || ' ' || v.starts_on || ' ' || v.ends_on as key, trim_scale(v.billed)::text as billed,
       trim_scale(coalesce(v.value, 0))::text as value, trim_scale(v.overage)::text as overage,
       case when v.cap is not null then trim_scale(greatest(coalesce(v.value, 0) - v.cap, 0))::text end as beyond
     from valued v join customers c on c.tenant_id = $1 and c.id = v.customer_id`,
    [tenant.id, ZONE],
  )
  expect(rows.length).toBeGreaterThan(30)
  expect(rows.filter(({ billed, value }) => billed !== value)).toEqual([])
  expect(rows.filter(({ overage, beyond }) => overage !== beyond)).toEqual([])
  const overlapping = await asSuperuser(
    `select a.meter, a.customer, a.starts_on, b.starts_on from (select distinct customer_id, meter_id, meter, customer, starts_on, ends_on from billing_lines where tenant_id = $1) a
     join (select distinct customer_id, meter_id, starts_on, ends_on from billing_lines where tenant_id = $1) b
       on a.customer_id = b.customer_id and a.meter_id = b.meter_id and a.starts_on < b.ends_on and b.starts_on < a.ends_on
         and (a.starts_on, a.ends_on) <> (b.starts_on, b.ends_on)`,
    [tenant.id],
  )
  expect(overlapping).toEqual([])
  const [periods] = await asSuperuser<{ count: number; gaps: number }>(
    `select count(*)::int as count, count(*) filter (where p.starts_at <> p.before)::int as gaps
     from (select starts_at, lag(ends_at) over (order by starts_at) as before from billing_periods where tenant_id = $1) p`,
    [tenant.id],
  )
  expect(periods?.count).toBeGreaterThan(5)
  expect(periods?.gaps).toBe(0)
})
