// What is billed is cut by reception: a closed period never changes, and over all cuts the lines add up to the usage exactly.
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { GET as downloadRoute } from '@/app/api/v1/billing-periods/[id]/download/route'
import { GET as linesRoute } from '@/app/api/v1/billing-periods/[id]/lines/route'
import { GET as oneRoute } from '@/app/api/v1/billing-periods/[id]/route'
import { GET as exportRoute } from '@/app/api/v1/billing-periods/export/route'
import { POST as closeRoute, GET as listRoute } from '@/app/api/v1/billing-periods/route'
import { POST as tierRoute } from '@/app/api/v1/tiers/route'
import { POST as correctRoute } from '@/app/api/v1/usage/correct/route'
import { POST as trackRoute } from '@/app/api/v1/usage/track/route'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { addDecimals, subtractDecimals } from '@/libs/ingest/decimal'
import { EVERY_AGGREGATION, insertMeters } from '../support/meters'
import { requireVariable } from '../support/variables'
import {
  type Answer,
  asSuperuser,
  asSystem,
  call,
  createApiKey,
  createTenant,
  createWorld,
  type RequestOptions,
  request,
} from '../support/world'

const { acme, globex, stranger } = await createWorld()
const random = await createTenant('random', { time_zone: 'America/New_York' })
const DAY = 86_400_000

const arrange = (tenant: { id: string }): Promise<void> => asSystem(tenant, () => insertMeters(EVERY_AGGREGATION))
beforeAll(async () => {
  await arrange(acme)
  await arrange(random)
})

const track = (body: unknown, as = acme.api_key): Promise<Answer> =>
  call(trackRoute, 'POST', '/api/v1/usage/track', { as, body })
const correct = (body: unknown, as = acme.api_key): Promise<Answer> =>
  call(correctRoute, 'POST', '/api/v1/usage/correct', { as, body })
const close = (ends_at: unknown, options: RequestOptions = { as: acme.api_key }): Promise<Answer> =>
  call(closeRoute, 'POST', '/api/v1/billing-periods', { ...options, body: { ends_at } })
const lines = (id: string, query = '', as = acme.api_key): Promise<Answer> =>
  call(linesRoute, 'GET', `/api/v1/billing-periods/${id}/lines${query}`, { as, params: { id } })
type Line = {
  customer: string
  meter: string
  starts_on: string
  quantity: number | string
  events: number
  adjustment: boolean
  overage: number | null
}
async function exported(query: string, as = acme.api_key): Promise<{ status: number; text: string; lines: Line[] }> {
  const answer = await exportRoute(await request('GET', `/api/v1/billing-periods/export${query}`, { as }))
  const text = await answer.text()
  return {
    status: answer.status,
    text,
    lines:
      answer.ok && !query.includes('csv')
        ? text
            .split('\n')
            .filter(Boolean)
            .map((line) => JSON.parse(line))
        : [],
  }
}
/** A moment no event shares: the clock of the database has moved on when this resolves. */
async function now(): Promise<string> {
  await sleep(15)
  const moment = new Date().toISOString()
  await sleep(15)
  return moment
}

describe('who may', () => {
  test.each([
    ['nobody', { tenant: acme }, 401, 401],
    ['a stranger', { as: stranger, tenant: acme }, 404, 404],
    ['a member of another tenant', { as: globex.users.owner, tenant: acme }, 404, 404],
    ['a customer', { as: acme.users.customer, tenant: acme }, 403, 403],
    ['a member', { as: acme.users.member, tenant: acme }, 403, 403],
    ['a compliance officer', { as: acme.users.compliance, tenant: acme }, 200, 403],
    ['an admin', { as: acme.users.admin, tenant: acme }, 200, 422],
  ] as [string, RequestOptions, number, number][])(
    '%s reads: %s, %i, closes: %i',
    async (_who, options, reads, closes) => {
      expect((await call(listRoute, 'GET', '/api/v1/billing-periods', options)).status).toBe(reads)
      expect(
        (await exportRoute(await request('GET', '/api/v1/billing-periods/export?from=2026-01-01', options))).status,
      ).toBe(reads)
      expect((await close('not a day', options)).status).toBe(closes)
    },
  )
  test('a key that sees less than all usage closes nothing', async () => {
    const { key } = await createApiKey(acme, ['billing-periods:write'])
    expect((await close(new Date(Date.now() - 1_000).toISOString(), { as: key })).status).toBe(403)
  })
})

describe('closing', () => {
  test('what is wrong is said', async () => {
    expect(await close('2026-13-01')).toMatchObject({ status: 422, body: { errors: [{ pointer: '/ends_at' }] } })
    expect(await close(new Date(Date.now() + DAY).toISOString())).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/ends_at', detail: 'must not be in the future' }] },
    })
    // Years that calendars and clocks do not agree about; some of them have no name of four digits in UTC.
    expect(await close('0001-01-01')).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/ends_at', detail: 'must lie between 1900-01-01 and 9000-01-01' }] },
    })
    expect((await exported('?from=2026-02-01&to=2026-01-01')).status).toBe(422)
    expect((await exported('?from=yesterday')).status).toBe(422)
    expect((await call(oneRoute, 'GET', '/x', { as: acme.api_key, params: { id: newId() } })).status).toBe(404)
    expect((await call(oneRoute, 'GET', '/x', { as: acme.api_key, params: { id: 'x' } })).status).toBe(404)
    expect((await lines(newId())).status).toBe(404)
  })

  test('one period after the other, each as it was; what comes later is an adjustment', async () => {
    const tier = await call(tierRoute, 'POST', '/api/v1/tiers', {
      as: acme.api_key,
      body: { name: 'Soft', usage_caps: { sum: { limit: 10, behaviour: 'soft' } }, is_default: true },
    })
    expect(tier.status).toBe(201)
    const lastMonth = new Date(Date.now() - 31 * DAY).toISOString()
    await track([
      { meter_id: 'sum', user_id: 'ann', event_value: '12.5', event_id: 'a' },
      { meter_id: 'max', user_id: 'ann', event_value: 7 },
      { meter_id: 'sum', user_id: '=cmd', event_value: 1 },
    ])
    const first = await close(await now())
    expect(first).toMatchObject({ status: 201, body: { lines: 3, events: 3, adjustments: 0 } })
    const firstLines = await lines(first.body.id)
    expect(firstLines.body.data.find((line: Line) => line.customer === 'ann' && line.meter === 'sum')).toMatchObject({
      quantity: 12.5,
      events: 1,
      tier: 'soft',
      tier_version: 1,
      cap_limit: 10,
      overage: 2.5,
      adjustment: false,
    })
    await correct({ action: 'cancel', event_id: 'a' })
    await track([
      { meter_id: 'max', user_id: 'ann', event_value: 9 },
      { meter_id: 'max', user_id: 'ann', event_value: 3, timestamp: lastMonth },
    ])
    const second = await close(await now())
    expect(second.body).toMatchObject({ starts_at: first.body.ends_at, lines: 3, adjustments: 1 })
    const secondLines: Line[] = (await lines(second.body.id)).body.data
    expect(secondLines.find(({ meter }) => meter === 'sum')).toMatchObject({
      quantity: -12.5,
      events: -1,
      overage: -2.5,
      adjustment: false,
    })
    expect(secondLines.find(({ meter, adjustment }) => meter === 'max' && !adjustment)).toMatchObject({
      quantity: 2,
      events: 1,
    })
    expect(secondLines.find(({ adjustment }) => adjustment)).toMatchObject({ meter: 'max', quantity: 3, events: 1 })
    expect((await lines(first.body.id)).body).toEqual(firstLines.body)
    expect((await lines(second.body.id, '?adjustment=true')).body.data).toHaveLength(1)
    expect((await lines(second.body.id, '?meter=sum&customer=ann')).body.data).toHaveLength(1)
    // Backwards and twice: refused, with where it has to begin.
    expect(await close(first.body.ends_at)).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/ends_at', detail: `must be after ${second.body.ends_at}` }] },
    })
    const empty = await close(await now())
    expect(empty).toMatchObject({ status: 201, body: { lines: 0, events: 0 } })
    const list = await call(listRoute, 'GET', '/api/v1/billing-periods?limit=2', { as: acme.api_key })
    expect(list.body.data.map(({ id }: { id: string }) => id)).toEqual([empty.body.id, second.body.id])
    const rest = await call(listRoute, 'GET', `/api/v1/billing-periods?cursor=${list.body.next_cursor}`, {
      as: acme.api_key,
    })
    expect(rest.body).toMatchObject({ data: [{ id: first.body.id }], next_cursor: null })
    expect(await call(listRoute, 'GET', '/api/v1/billing-periods', { as: globex.api_key })).toMatchObject({
      body: { data: [] },
    })
  })

  test('nobody changes what is closed, and closing is on record', async () => {
    const change = (sql: string) => asSystem(acme, () => tenantQuery(sql))
    await expect(change('update billing_lines set quantity = 0')).rejects.toThrow(/denied|append-only/)
    await expect(change('delete from billing_periods')).rejects.toThrow(/denied/)
    await expect(asSuperuser('update billing_lines set quantity = 0')).rejects.toThrow(/append-only/)
    const logged = await asSuperuser(
      "select 1 from audit_logs where tenant_id = $1 and action = 'billing_period.closed'",
      [acme.id],
    )
    expect(logged).toHaveLength(3)
  })

  test('a file of a closed period, for spreadsheets and exact', async () => {
    const list = await call(listRoute, 'GET', '/api/v1/billing-periods', { as: acme.users.compliance, tenant: acme })
    const id = list.body.data.at(-1).id
    const file = async (format: string) =>
      downloadRoute(await request('GET', `/x?format=${format}`, { as: acme.api_key }), {
        params: Promise.resolve({ id }),
      })
    const csv = await (await file('csv')).text()
    expect(csv.split('\r\n')[0]).toMatch(/^customer_id,customer,meter_id,meter,starts_on/)
    expect(csv).toContain("'=cmd")
    const jsonl = await (await file('jsonl')).text()
    expect(jsonl.split('\n').filter(Boolean)).toHaveLength(3)
    expect((await file('xml')).status).toBe(422)
    // What was taken back has a minus, and is a number as well.
    const later = await call(downloadRoute, 'GET', '/x?format=csv', {
      as: acme.api_key,
      params: { id: list.body.data.at(-2).id },
    })
    expect(later.body).toMatch(/,-12\.5,-1,soft,1,10,-2\.5,/)
  })

  test('lines say what their meters are called, whoever may read them', async () => {
    await asSuperuser("update meters set name = 'All of it' where tenant_id = $1 and slug = 'sum'", [acme.id])
    const { key } = await createApiKey(acme, ['billing-periods:read'])
    const list = await call(listRoute, 'GET', '/api/v1/billing-periods', { as: key })
    const id = list.body.data.at(-1).id
    const options: RequestOptions = { as: acme.users.compliance, tenant: acme, params: { id } }
    const read = await call(linesRoute, 'GET', `/api/v1/billing-periods/${id}/lines?meter=sum`, options)
    for (const { body } of [read, await lines(id, '?meter=sum', key)])
      expect(body.data[0]).toMatchObject({ meter: 'sum', meter_name: 'All of it' })
    const file = await downloadRoute(await request('GET', '/x?format=csv', { as: key }), {
      params: Promise.resolve({ id }),
    })
    const [header, ...rows] = (await file.text()).trim().split('\r\n')
    expect(header).toMatch(/,meter_name$/)
    expect(rows.filter((row) => row.endsWith(',All of it')).length).toBeGreaterThan(0)
    const cut = await exported('?from=2026-01-01', key)
    expect(cut.lines.find(({ meter }) => meter === 'sum')).toMatchObject({ meter_name: 'All of it' })
  })

  test('a cut that is to end in the future ends now: no period that has not begun is gone through', async () => {
    const ask = async (query: string) => {
      const answer = await exportRoute(await request('GET', `/x?${query}`, { as: acme.api_key }))
      return { headers: answer.headers, text: await answer.text() }
    }
    const year = new Date().getUTCFullYear()
    const whole = await ask('from=2026-01-01&to=9999-12-31T23:59:59Z')
    expect(whole.headers.get('content-disposition')).toMatch(new RegExp(`-${year}-\\d\\d-\\d\\d\\.jsonl"$`))
    expect(whole.text.split('\n')).toHaveLength((await ask('from=2026-01-01')).text.split('\n').length)
    expect(JSON.parse((await ask('from=8000-01-01&to=9000-01-01')).text)).toMatchObject({
      status: 422,
      errors: [{ pointer: '/from', detail: 'must be in the past' }],
    })
  })

  test('a cut since ever of a tenant without usage goes through no period at all', async () => {
    const empty = await createTenant('without-usage', { time_zone: 'Europe/Berlin' })
    await asSystem(empty, async () => {
      const tier = newId()
      await tenantQuery('insert into tiers (id, slug, name) values ($1, $2, $2)', [tier, 'any'])
      for (let anchor = 1; anchor <= 31; anchor += 1) {
        const customer = newId()
        await tenantQuery('insert into customers (id, external_id) values ($1, $2)', [customer, `c${anchor}`])
        await tenantQuery('insert into subscriptions (id, customer_id, tier_id, anchor_day) values ($1, $2, $3, $4)', [
          newId(),
          customer,
          tier,
          anchor,
        ])
      }
    })
    expect(await exported('?from=0001-01-01', empty.api_key)).toMatchObject({ status: 200, text: '' })
  })

  test('a cut waits for what was received before its end and is not committed yet', async () => {
    await track({ meter_id: 'count', user_id: 'waited-for' })
    const client = new pg.Client({ connectionString: requireVariable('SUPERUSER_DATABASE_URL') })
    await client.connect()
    try {
      await client.query('begin')
      await client.query("select pg_advisory_xact_lock_shared(hashtextextended('usage ' || $1, 0))", [acme.id])
      await client.query(
        `insert into usage_events (tenant_id, id, meter_id, customer_id, value, occurred_at, received_at, received_month)
         select e.tenant_id, gen_random_uuid(), e.meter_id, e.customer_id, 1, n.at, n.at, date_trunc('month', n.at at time zone 'UTC')
         from usage_events e cross join (select clock_timestamp() as at) n
         join customers c on c.tenant_id = e.tenant_id and c.id = e.customer_id and c.external_id = 'waited-for' where e.tenant_id = $1`,
        [acme.id],
      )
      const cut = exported('?from=2026-01-01').then(({ lines: all }) =>
        all.find(({ customer }) => customer === 'waited-for'),
      )
      const waiting = async () =>
        (await asSuperuser("select from pg_locks where locktype = 'advisory' and not granted")).length > 0
      await Promise.race([cut, expect.poll(waiting, { timeout: 10_000 }).toBe(true)])
      await client.query('commit')
      expect(await cut).toMatchObject({ events: 2 })
    } finally {
      await client.end()
    }
  })

  test('an export goes on record with its end: whole, broken off, and not at all for a HEAD', async () => {
    await track({ meter_id: 'count', user_id: 'ann' })
    const ask = async (method: 'GET' | 'HEAD') =>
      exportRoute(await request(method, '/api/v1/billing-periods/export?from=2026-01-01', { as: acme.api_key }))
    const records = () =>
      asSuperuser<{ action: string; outcome: string; lines: number | null }>(
        `select l.action, l.outcome, (d.metadata ->> 'lines')::integer as lines from audit_logs l join audit_details d using (tenant_id, id)
         where l.tenant_id = $1 and l.action like 'billing_period.export%' order by l.id`,
        [acme.id],
      )
    const before = (await records()).length
    const since = async () => (await records()).slice(before)
    const head = await ask('HEAD')
    expect([head.status, head.headers.get('content-type'), head.body]).toEqual([200, 'application/x-ndjson', null])
    expect(await since()).toEqual([])
    const whole = (await (await ask('GET')).text()).trim().split('\n')
    const success = { action: 'billing_period.export_completed', outcome: 'success', lines: whole.length }
    await expect.poll(since).toMatchObject([{ action: 'billing_period.exported' }, success])
    await (await ask('GET')).body?.cancel()
    await expect.poll(async () => (await since()).length).toBe(4)
    expect((await since())[3]).toMatchObject({ action: 'billing_period.export_completed', outcome: 'failure' })
  })

  test('an export of many customers is cut in parts that come to the whole, as it was when it began', async () => {
    const many = await createTenant('many', { time_zone: 'America/New_York' })
    await arrange(many)
    await asSuperuser(
      `insert into customers (tenant_id, id, external_id) select $1, app.uuid_v7(), 'c' || n from generate_series(1, 2500) n`,
      [many.id],
    )
    const send = () =>
      asSuperuser(
        `insert into usage_events (tenant_id, id, meter_id, customer_id, value, occurred_at, received_at, received_month)
         select $1, gen_random_uuid(), m.id, c.id, length(c.external_id), n.at, n.at, date_trunc('month', n.at at time zone 'UTC')
         from meters m join customers c using (tenant_id) cross join (select clock_timestamp() - interval '1 minute' as at) n
         where tenant_id = $1 and m.slug in ('sum', 'max')`,
        [many.id],
      )
    await send()
    const range = { from: new Date(Date.now() - DAY).toISOString(), to: await now() }
    const answer = await exportRoute(await request('GET', `/x?${new URLSearchParams(range)}`, { as: many.api_key }))
    await send()
    const sent: Line[] = (await answer.text())
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    const cut = await asSystem(many, () =>
      tenantQuery<{ customer: string; meter: string }>(
        `select customer, meter from app.cut_usage($1, 'America/New_York', $2, $3, false) where events = 2`,
        [many.id, range.from, range.to],
      ),
    )
    expect(cut.length).toBeGreaterThan(5_000)
    expect(sent.map(({ customer, meter, quantity, events }) => ({ customer, meter, quantity, events }))).toEqual(
      cut.map((line) => ({ ...line, quantity: line.customer.length, events: 1 })),
    )
  })

  test('two who close at once close one after the other', async () => {
    await track({ meter_id: 'count', user_id: 'ann' })
    const moment = await now()
    const answers = await Promise.all([close(moment), close(moment), close(moment)])
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 422, 422])
  })
})

describe('over all cuts', () => {
  test('lines add up to what the totals say, for every way of counting', async () => {
    let state = 7
    const next = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return Math.floor((state / 2 ** 32) * below)
    }
    const as = random.api_key
    const begun = await now()
    const sums = new Map<string, string>()
    const cuts: Line[][] = []
    const add = (rows: readonly Line[], into = sums) => {
      for (const row of rows) {
        const key = `${row.customer} ${row.meter} ${row.starts_on}`
        into.set(key, addDecimals(into.get(key) ?? '0', String(row.quantity)))
      }
    }
    let last = begun
    let sent = 0
    for (let cut = 0; cut < 5; cut += 1) {
      const events = Array.from({ length: 60 }, () => {
        sent += 1
        return {
          meter_id: EVERY_AGGREGATION[next(EVERY_AGGREGATION.length)]?.slug,
          user_id: ['ann', 'bob'][next(2)],
          event_value: String(next(1_000) / 8 - 10),
          event_id: `e${sent}`,
          // Also in the month before, on the last day of a long one.
          timestamp: Date.now() - next(34) * DAY - next(86_400) * 1_000,
          properties: { device: `d${next(5)}` },
        }
      })
      expect((await track(events, as)).body.rejected).toEqual([])
      const items = Array.from({ length: 15 }, () => {
        const event_id = `e${1 + next(sent)}`
        return next(2) === 0
          ? { action: 'cancel', event_id }
          : { action: 'amend', event_id, event_value: String(next(1_000) / 8) }
      })
      expect((await correct(items, as)).status).toBe(200)
      const ends = await now()
      const open = await exported(`?from=${last}&to=${ends}`, as)
      const period = await close(ends, { as })
      expect(period.status).toBe(201)
      const rows: Line[] = []
      for (let cursor: string | null = ''; cursor !== null; ) {
        const page: Answer = await lines(period.body.id, `?limit=20${cursor ? `&cursor=${cursor}` : ''}`, as)
        rows.push(...page.body.data)
        cursor = page.body.next_cursor
      }
      // What was exported before closing is what was closed.
      if (cut > 0) expect(rows).toEqual(open.lines)
      add(rows)
      cuts.push(rows)
      last = ends
    }
    expect(cuts.some((rows) => rows.some(({ adjustment }) => adjustment))).toBe(true)
    const stored = await asSuperuser<{ key: string; value: string }>(
      `select c.external_id || ' ' || m.slug || ' ' || k.starts_on as key, trim_scale(case m.aggregation
         when 'WEIGHTED_SUM' then app.weighted_average(k.tenant_id, k.meter_id, k.customer_id, k.starts_on,
           k.starts_on::timestamp at time zone 'America/New_York',
           least($2::timestamptz, app.period_end(k.starts_on, 'month', 1)::timestamp at time zone 'America/New_York'), k.used, k.moment)
         else coalesce(app.metered_value(m.aggregation, k.used, k.events), 0) end)::text as value
       from usage_counters k join meters m on m.tenant_id = k.tenant_id and m.id = k.meter_id
       join customers c on c.tenant_id = k.tenant_id and c.id = k.customer_id where k.tenant_id = $1 and k.period = 'month' order by 1`,
      [random.id, last],
    )
    expect(stored.length).toBeGreaterThan(20)
    const different = stored.filter(({ key, value }) => subtractDecimals(sums.get(key) ?? '0', value) !== '0')
    expect(different.map(({ key, value }) => ({ key, value, billed: sums.get(key) }))).toEqual([])
    // Any other cut comes to the same.
    const whole = new Map<string, string>()
    add((await exported(`?from=2026-01-01&to=${last}`, as)).lines, whole)
    for (const [key, value] of whole) expect({ key, value }).toEqual({ key, value: sums.get(key) })
  })
})
