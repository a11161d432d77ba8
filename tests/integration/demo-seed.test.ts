import { execFile } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createClient } from '@supabase/supabase-js'
import { expect, test } from 'vitest'
import { inRepository } from '../../processes/dev-stack/repository'
import { requireVariable } from '../support/variables'
import { asSuperuser } from '../support/world'

const run = promisify(execFile)
const seedFile = join(requireVariable('DATA_DIR'), 'seed.json')

async function seed() {
  await run(process.execPath, ['--import', 'tsx', inRepository('processes', 'seed', 'main.ts')], {
    cwd: inRepository(),
    env: { ...process.env, LOG_LEVEL: 'warn' },
  })
  return JSON.parse(readFileSync(seedFile, 'utf8'))
}

// Metrics of today are counted while the demo is made, and not a part of it.
const countAll = () =>
  asSuperuser(
    `select (select count(*) from usage_events) as events, (select count(*) from customers) as customers,
       (select count(*) from usage_rejections) as rejections, (select count(*) from memberships) as memberships,
       (select count(*) from features) as features, (select count(*) from alert_rules) as rules, (select count(*) from alert_firings) as firings,
       (select count(*) from grants) as grants, (select count(*) from customer_keys) as keys, (select count(*) from rate_limit_overrides) as overrides,
       (select count(*) from billing_periods) as periods, (select count(*) from billing_lines) as lines,
       (select jsonb_object_agg(m.metric || ' ' || m.label, m.total) from (
          select t.metric, t.label, sum(t.value) as total from tenant_metrics t join tenants n on n.id = t.tenant_id
          where t.day < (now() at time zone n.time_zone)::date group by 1, 2) m) as metrics`,
  )

test('the demo is made once, and completed when its file is lost', async () => {
  const demo = await seed()
  expect(demo.tenants.map(({ slug, status }: Record<string, string>) => `${slug} ${status}`)).toEqual([
    'acme active',
    'globex active',
    'initech suspended',
    'acme-labs active',
  ])
  expect(demo.operators.map(({ role }: { role: string }) => role)).toEqual(['super_admin', 'support'])
  const [acme] = demo.tenants
  expect(acme.logins.map(({ role }: { role: string }) => role)).toEqual([
    'owner',
    'admin',
    'compliance',
    'member',
    'customer',
    'customer',
  ])

  const counts = await countAll()
  // As if it had been made on another day, of which days before are further away.
  await asSuperuser("update tenant_metric_events set value = value + 1 where event_id like 'demo-%'")
  const again = await seed()
  expect(again).toEqual(demo)
  rmSync(seedFile)
  const completed = await seed()
  expect(completed.tenants.map(({ id }: { id: string }) => id)).toEqual(
    demo.tenants.map(({ id }: { id: string }) => id),
  )
  expect(completed.tenants[0].api_key).not.toBe(acme.api_key)
  // A minute may have passed in which one more event became due.
  const [before] = counts
  const [after] = await countAll()
  expect({ ...after, events: 0 }).toEqual({ ...before, events: 0 })
  expect(Number(after?.events) - Number(before?.events)).toBeLessThan(50)
  expect(after?.rejections).toBe('0')
  const live = await asSuperuser('select 1 from api_keys where tenant_id = $1 and revoked_at is null', [acme.id])
  expect(live).toHaveLength(1)

  const [share] = await asSuperuser<{ used: string; cap_limit: string }>(
    `select u.used, c.cap_limit from usage_counters u
     join customers k on (k.tenant_id, k.id) = (u.tenant_id, u.customer_id)
     join meters m on (m.tenant_id, m.id) = (u.tenant_id, u.meter_id)
     join subscriptions s on (s.tenant_id, s.customer_id) = (u.tenant_id, u.customer_id)
     join tier_caps c on (c.tenant_id, c.tier_id, c.version, c.meter_id) = (u.tenant_id, s.tier_id, s.tier_version, u.meter_id)
     where u.tenant_id = $1 and k.external_id = 'bluebird' and m.slug = 'api_calls' and u.period = 'month'
     order by u.starts_on desc limit 1`,
    [acme.id],
  )
  expect(Number(share?.used) / Number(share?.cap_limit)).toBeGreaterThanOrEqual(0.85)
  expect(Number(share?.used) / Number(share?.cap_limit)).toBeLessThan(0.95)

  // Names and ids repeat from tenant to tenant, so that a leak shows.
  const [same] = await asSuperuser<{ meters: number; customers: number }>(
    `select (select count(*)::integer from meters a join meters b using (id, slug) where a.tenant_id = $1 and b.tenant_id = $2) as meters,
       (select count(*)::integer from customers a join customers b using (id, external_id, name) where a.tenant_id = $1 and b.tenant_id = $2) as customers`,
    [acme.id, demo.tenants[1].id],
  )
  expect(same).toEqual({ meters: 3, customers: 6 })

  await expectOperations(acme.id)

  const [oldest] = await asSuperuser<{ days: number }>(
    `select (extract(epoch from now() - min(occurred_at)) / 86400)::integer as days from usage_events where tenant_id = $1`,
    [acme.id],
  )
  expect(oldest?.days).toBeGreaterThanOrEqual(87)

  const supabase = createClient(requireVariable('SUPABASE_URL'), requireVariable('SUPABASE_PUBLISHABLE_KEY'), {
    auth: { persistSession: false, autoRefreshToken: false },
  })
  for (const { email, password } of [...acme.logins, ...demo.operators]) {
    const { data, error } = await supabase.auth.signInWithPassword({ email, password })
    expect(error).toBeNull()
    expect(data.user?.email).toBe(email)
  }

  // Who deleted a tenant of the demo finds it deleted at the next start, and the start works.
  await asSuperuser("update tenants set status = 'deleted', deleted_at = now() where slug = 'globex'")
  const rows = await countAll()
  expect(await seed()).toEqual(completed)
  expect(await countAll()).toEqual(rows)
})

/** What one sees of a tenant that has run for a while, by the figures. */
async function expectOperations(id: string): Promise<void> {
  const [split] = await asSuperuser<{ regions: string; agree: boolean }>(
    `select (select count(distinct g.group_values) from usage_groups g where g.tenant_id = $1) as regions,
       (select sum(g.used) from usage_groups g where g.tenant_id = $1) = (select sum(t.used) from usage_totals t where t.tenant_id = $1) as agree`,
    [id],
  )
  expect(split).toEqual({ regions: '2', agree: true })
  const fired = await asSuperuser(
    `select k.external_id from alert_firings f join alert_rules r on (r.tenant_id, r.id) = (f.tenant_id, f.rule_id)
     join customers k on (k.tenant_id, k.id) = (f.tenant_id, f.customer_id) where f.tenant_id = $1 and r.kind = 'usage_percent'`,
    [id],
  )
  expect(fired).toContainEqual({ external_id: 'bluebird' })
  const metrics = await asSuperuser(
    `select metric, label, count(distinct day)::integer as days, min(value) > 0 as plausible from tenant_metrics
     where tenant_id = $1 and day < (now() at time zone 'Europe/Berlin')::date group by 1, 2 order by 1, 2`,
    [id],
  )
  const month = (metric: string, label = '') => ({ metric, label, days: 30, plausible: true })
  expect(metrics).toEqual([
    month('api_calls'),
    month('bandwidth_bytes'),
    month('communications', 'email'),
    month('communications', 'sms'),
    month('revenue', 'EUR'),
    month('storage_bytes'),
    month('transactions'),
    month('users_count'),
    month('workflow_executions'),
  ])
  // The time until the demo was made is billed.
  const [period] = await asSuperuser(
    `select p.lines > 50 as lines, p.adjustments, p.events = (select sum(l.events) from billing_lines l where l.tenant_id = $1) as agrees
     from billing_periods p where p.tenant_id = $1`,
    [id],
  )
  expect(period).toEqual({ lines: true, adjustments: 0, agrees: true })
  const [grant] = await asSuperuser(
    `select g.amount::float8, g.remaining::float8, b.used = k.used as counted from grants g
     join balances b on (b.tenant_id, b.customer_id, b.meter_id) = (g.tenant_id, g.customer_id, g.meter_id)
     join usage_counters k on (k.tenant_id, k.customer_id, k.meter_id, k.starts_on) = (b.tenant_id, b.customer_id, b.meter_id, b.starts_on)
       and k.period = 'month'
     where g.tenant_id = $1`,
    [id],
  )
  expect(grant).toEqual({ amount: 2_500, remaining: 2_500, counted: true })
  const [key] = await asSuperuser(
    'select external_id, remaining::integer, enabled, revoked_at from customer_keys where tenant_id = $1',
    [id],
  )
  expect(key).toEqual({ external_id: 'bluebird', remaining: 5_000, enabled: true, revoked_at: null })
  const overrides = await asSuperuser('select identifier from rate_limit_overrides where tenant_id = $1', [id])
  expect(overrides).toEqual([{ identifier: 'bluebird' }])
}
