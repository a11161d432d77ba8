import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { analyticsSink } from '@/libs/analytics/forward-events'
import { TenantAnalytics } from '@/libs/analytics/tenant-analytics'
import { eventSink } from '@/libs/connectors/event-sink'
import { tenantQuery } from '@/libs/db/tenant-db'
import { forgetEnv } from '@/libs/env'
import { newId } from '@/libs/ids'
import { backoffMs, type OutboxWorkerOptions, startOutboxWorker } from '@/libs/jobs/outbox-worker'
import { startPeriodicJobs } from '@/libs/jobs/periodic'
import { sweepLeftovers } from '@/libs/jobs/sweep-leftovers'
import { log } from '@/libs/log'
import { findStoredMail, listLinks, listStoredMails } from '@/libs/mail/mail-directory'
import { mailSink } from '@/libs/mail/mail-sink'
import { queueMail } from '@/libs/mail/queue-mail'
import { bundleProcess } from '@/processes/dev-stack/bundle'
import { startMailServer } from '../support/mail-server'
import { type CapturedEvent, startPostHogServer } from '../support/posthog-server'
import { asSuperuser, asSystem, createTenant, createWorld, setStatus, type TestTenant } from '../support/world'

const { acme, globex } = await createWorld()
const posthog = await startPostHogServer()
const smtp = await startMailServer()
const sinks = [analyticsSink, mailSink, eventSink]

function setVariables(values: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  forgetEnv()
}

const stops: (() => Promise<unknown>)[] = []
/** A worker in this process that looks often and tries again soon. */
function startWorker(options: Partial<OutboxWorkerOptions> = {}) {
  const worker = startOutboxWorker({ sinks, pollMs: 50, delayMs: () => 100, ...options })
  stops.push(() => worker.stop(0))
  return worker
}

beforeEach(async () => {
  setVariables({ POSTHOG_KEY: 'phc_test', POSTHOG_HOST: posthog.url, SMTP_URL: smtp.url })
  await asSuperuser('delete from outbox')
})
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
  posthog.answer = () => 200
  posthog.accepted.length = 0
  posthog.batches.length = 0
  smtp.judge = () => null
  smtp.beforeAccept = () => Promise.resolve()
  smtp.received.length = 0
})
afterAll(async () => {
  await posthog.stop()
  await smtp.stop()
})

type OutboxRow = {
  id: string
  topic: string
  attempts: number
  last_error: string | null
  delivered_at: Date | null
  aside: boolean
}
const outbox = () => asSuperuser<OutboxRow>("select *, available_at = 'infinity' as aside from outbox order by id")
const waiting = async () => (await outbox()).filter(({ delivered_at }) => delivered_at === null)
const track = (tenant: TestTenant, event: string, properties = {}) =>
  asSystem(tenant, () => TenantAnalytics.trackEvent('user-1', event, properties))
const invite = (tenant: TestTenant, to: string) =>
  asSystem(tenant, () =>
    queueMail({
      to,
      template: 'portal-invitation',
      data: { url: `http://${tenant.slug}.localhost:3000/join?token=t-${to}`, tenant_name: tenant.name, days: 7 },
    }),
  )
const acceptedNames = () => posthog.accepted.map(({ event }) => event).filter((event) => event !== '$groupidentify')
const groupOf = ({ properties }: CapturedEvent) => properties.$groups?.tenant
const soon = { timeout: 20_000, interval: 25 }

describe('analytics', () => {
  test('events reach PostHog under their tenant’s group, with their own id and time, and are marked', async () => {
    const mine = await track(acme, 'report_opened', { report: 'usage' })
    const theirs = await track(globex, 'report_opened')
    startWorker()
    await expect.poll(() => acceptedNames().length, soon).toBe(2)
    await expect.poll(waiting, soon).toEqual([])
    const event = posthog.accepted.find(({ uuid }) => uuid === mine)
    const [stored] = await asSuperuser<{ occurred_at: Date; forwarded_at: Date | null }>(
      'select * from analytics_events where id = $1',
      [mine],
    )
    expect(event).toMatchObject({
      event: 'report_opened',
      distinct_id: 'user-1',
      properties: { report: 'usage', source: 'server' },
    })
    expect(event && groupOf(event)).toBe(acme.id)
    expect(event?.timestamp).toBe(stored?.occurred_at.toISOString())
    expect(stored?.forwarded_at).toBeInstanceOf(Date)
    expect(posthog.batches.every(({ api_key }) => api_key === 'phc_test')).toBe(true)
    const other = posthog.accepted.find(({ uuid }) => uuid === theirs)
    expect(other && groupOf(other)).toBe(globex.id)
    const told = posthog.accepted.filter(({ event: name }) => name === '$groupidentify')
    expect(told.map(({ properties }) => properties.$group_set)).toContainEqual({
      name: acme.name,
      slug: 'acme',
      plan: 'premium',
    })
  })

  test('no batch mixes tenants', async () => {
    for (let n = 0; n < 5; n += 1) await Promise.all([track(acme, `a${n}`), track(globex, `g${n}`)])
    startWorker()
    await expect.poll(() => acceptedNames().length, soon).toBe(10)
    for (const { batch } of posthog.batches) expect(new Set(batch.map(groupOf).filter(Boolean)).size).toBeLessThan(2)
  })

  test('a sink that fails is tried again, in order, until it takes them; until then nothing counts as sent', async () => {
    let failing = true
    posthog.answer = () => (failing ? 500 : 200)
    const first = await track(acme, 'first')
    startWorker()
    await expect.poll(() => posthog.batches.length, soon).toBeGreaterThan(0)
    await track(acme, 'second')
    const [row] = await asSuperuser<{ forwarded_at: Date | null }>(
      'select forwarded_at from analytics_events where id = $1',
      [first],
    )
    expect(row?.forwarded_at).toBeNull()
    failing = false
    await expect.poll(() => acceptedNames(), soon).toEqual(['first', 'second'])
    await expect.poll(waiting, soon).toEqual([])
    const [message] = (await outbox()).filter(({ id }) => id === first)
    expect(message).toMatchObject({ last_error: null })
    expect(message?.attempts).toBeGreaterThan(1)
  })

  test('who asks to be left alone for a while is', async () => {
    posthog.answer = () => ({ status: 429, retry_after: '240' })
    const id = await track(acme, 'too many')
    startWorker()
    const rest = async () => {
      const [row] = await asSuperuser<{ minutes: number }>(
        'select extract(epoch from available_at - now())::float8 / 60 as minutes from outbox where id = $1 and last_error is not null',
        [id],
      )
      return row?.minutes
    }
    await expect.poll(rest, soon).toBeGreaterThan(3)
    expect(await rest()).toBeLessThanOrEqual(4)
    expect(posthog.batches).toHaveLength(1)
  })

  test('one event that is refused does not hold back the others; it is set aside with its error', async () => {
    posthog.answer = ({ batch }) => (batch.some(({ event }) => event === 'poison') ? 400 : 200)
    for (const event of ['before', 'poison', 'after']) await track(acme, event)
    startWorker()
    await expect.poll(() => acceptedNames(), soon).toEqual(['before', 'after'])
    await expect
      .poll(async () => (await waiting())[0], soon)
      .toMatchObject({ aside: true, last_error: expect.stringMatching(/400/) })
    await track(acme, 'later')
    await expect.poll(() => acceptedNames(), soon).toEqual(['before', 'after', 'later'])
  })

  test('a sink that is dead for one tenant holds up neither another tenant nor another topic', async () => {
    posthog.answer = ({ batch }) => (batch.some((event) => groupOf(event) === acme.id) ? 'hang' : 200)
    const stuck = await track(acme, 'stuck')
    startWorker()
    await expect.poll(() => posthog.batches.length, soon).toBe(1)
    await track(globex, 'free')
    await invite(acme, 'free@example.test')
    await expect.poll(() => acceptedNames(), soon).toEqual(['free'])
    await expect.poll(() => smtp.received.length, soon).toBe(1)
    // All of it while the dead one is still tried for the first time.
    expect((await waiting()).filter(({ id }) => id === stuck)).toMatchObject([{ attempts: 1, last_error: null }])
  })

  test('a receiver that is dead for everybody holds up nothing that goes elsewhere', async () => {
    const others = await Promise.all(['one', 'two', 'three', 'four'].map((name) => createTenant(`held-${name}`)))
    let held = 0
    smtp.beforeAccept = () => {
      held += 1
      return new Promise(() => {})
    }
    for (const tenant of others) await invite(tenant, `${tenant.slug}@example.test`)
    startWorker({ sinks: sinks.map((sink) => ({ ...sink, lanes: 2 })) })
    await expect.poll(() => held, soon).toBe(2)
    expect((await waiting()).filter(({ attempts }) => attempts === 1)).toHaveLength(2)
    for (const tenant of others) await track(tenant, 'free')
    await expect.poll(() => acceptedNames(), soon).toEqual(['free', 'free', 'free', 'free'])
    // All of it while the first two mails are still tried for the first time.
    expect(held).toBe(2)
    expect((await waiting()).filter(({ topic }) => topic === 'email')).toMatchObject(
      others.map(() => ({ last_error: null })),
    )
  })

  test('switched off after events were queued: nothing is sent, nothing piles up', async () => {
    const id = await track(acme, 'queued')
    setVariables({ POSTHOG_KEY: undefined })
    startWorker()
    await expect.poll(waiting, soon).toEqual([])
    expect(posthog.batches).toEqual([])
    const [row] = await asSuperuser<{ forwarded_at: Date | null }>(
      'select forwarded_at from analytics_events where id = $1',
      [id],
    )
    expect(row?.forwarded_at).toBeNull()
  })
})

describe('mail', () => {
  test('goes out in the tenant’s brand, and then is in the outbox no more', async () => {
    await asSuperuser(
      "update brandings set display_name = 'Acme Metering', primary_color = '#b91c1c' where tenant_id = $1",
      [acme.id],
    )
    const id = await invite(acme, 'ann@example.test')
    startWorker()
    await expect.poll(() => smtp.received.length, soon).toBe(1)
    const [mail] = smtp.received
    expect(mail).toMatchObject({ recipients: ['ann@example.test'], subject: 'Your invitation to Acme Metering' })
    expect(mail?.from).toMatch(/^"?Acme Metering"? </)
    expect(mail?.html).toContain('#b91c1c')
    expect(mail?.raw).toMatch(new RegExp(`Message-ID: <${id}@`, 'i'))
    expect(mail && listLinks(mail)).toContain('http://acme.localhost:3000/join?token=t-ann@example.test')
    await expect.poll(outbox, soon).toEqual([])
    const events = await asSuperuser(
      'select connector, action, target, status, attempts, request, error from connector_events where tenant_id = $1 and target = $2',
      [acme.id, 'ann@example.test'],
    )
    expect(events).toEqual([
      {
        connector: 'email',
        action: 'mail.sent',
        target: 'ann@example.test',
        status: 'sent',
        attempts: 1,
        request: { message: id, template: 'portal-invitation' },
        error: null,
      },
    ])
  })

  test('is not sent when what caused it is rolled back, and not queued when it cannot be rendered', async () => {
    await expect(
      asSystem(acme, async () => {
        await queueMail({ to: 'a@example.test', template: 'notice', data: { subject: 'x', paragraphs: ['y'] } })
        throw new Error('undone')
      }),
    ).rejects.toThrow('undone')
    await expect(
      asSystem(acme, () =>
        queueMail({ to: 'a@example.test', template: 'notice', data: { subject: '', paragraphs: [] } }),
      ),
    ).rejects.toThrow()
    expect(await outbox()).toEqual([])
  })

  test('is tried for longer than a day before it is given up', () => {
    const waits = Array.from({ length: mailSink.attempts - 1 }, (_, index) => backoffMs(index + 1))
    expect(waits.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThan(24 * 3_600_000)
  })

  test('a refusal for good is not tried again; one for now is, and each attempt is an event', async () => {
    let temporary = 2
    smtp.judge = (recipient) => {
      if (recipient === 'gone@example.test') return { status: 550, text: 'no such user' }
      if (recipient === 'busy@example.test' && temporary-- > 0) return { status: 451, text: 'try later' }
      return null
    }
    for (const to of ['gone@example.test', 'busy@example.test', 'fine@example.test']) await invite(globex, to)
    startWorker()
    await expect
      .poll(() => smtp.received.map(({ recipients }) => recipients[0]).sort(), soon)
      .toEqual(['busy@example.test', 'fine@example.test'])
    await expect
      .poll(outbox, soon)
      .toEqual([
        expect.objectContaining({ attempts: 1, aside: true, last_error: expect.stringContaining('no such user') }),
      ])
    const events = await asSuperuser<{ target: string; status: string; attempts: number }>(
      'select target, status, attempts from connector_events where tenant_id = $1 order by target, attempts',
      [globex.id],
    )
    expect(events).toEqual([
      { target: 'busy@example.test', status: 'failed', attempts: 1 },
      { target: 'busy@example.test', status: 'failed', attempts: 2 },
      { target: 'busy@example.test', status: 'sent', attempts: 3 },
      { target: 'fine@example.test', status: 'sent', attempts: 1 },
      { target: 'gone@example.test', status: 'failed', attempts: 1 },
    ])
  })

  test('a payload that cannot be read is set aside, and so is a recipient that would be several', async () => {
    await asSystem(acme, async () => {
      await tenantQuery("insert into outbox (id, topic, payload) values ($1, 'email', '{\"to\": 1}')", [newId()])
      await queueMail({
        to: 'a@example.test, b@example.test',
        template: 'notice',
        data: { subject: 'x', paragraphs: ['y'] },
      })
    })
    startWorker()
    await expect.poll(async () => (await waiting()).every(({ aside }) => aside), soon).toBe(true)
    expect(smtp.received.flatMap(({ recipients }) => recipients)).not.toContain('b@example.test')
  })

  test('without a mail server it is a file that can be read', async () => {
    setVariables({ SMTP_URL: undefined })
    await invite(acme, 'file@example.test')
    startWorker()
    await expect.poll(async () => (await listStoredMails()).length, soon).toBe(1)
    const [mail] = await listStoredMails()
    expect(mail).toMatchObject({ to: 'file@example.test', subject: 'Your invitation to Acme Metering' })
    expect(await findStoredMail(mail?.id ?? '')).toEqual(mail)
    for (const id of ['../../etc/passwd', '', 'nothing']) expect(await findStoredMail(id)).toBeNull()
  })

  test('a suspended tenant’s mail waits until it is active again', async () => {
    await invite(globex, 'later@example.test')
    await setStatus(globex, 'suspended')
    startWorker()
    await invite(acme, 'now@example.test')
    await expect.poll(() => smtp.received.length, soon).toBe(1)
    await expect.poll(waiting, soon).toEqual([expect.objectContaining({ attempts: 0 })])
    await setStatus(globex, 'active')
    await expect.poll(() => smtp.received.length, { timeout: 60_000, interval: 100 }).toBe(2)
  })
})

describe('several workers, and workers that die', () => {
  test('four at once send each of 120 mails and 120 events of two tenants exactly once', async () => {
    const tenants = [acme, globex]
    await Promise.all(
      Array.from({ length: 120 }, (_, n) => {
        const tenant = tenants[n % 2] ?? acme
        return Promise.all([invite(tenant, `n${n}@example.test`), track(tenant, `n${n}`)])
      }),
    )
    for (let n = 0; n < 4; n += 1) startWorker()
    await expect.poll(() => smtp.received.length, { timeout: 60_000 }).toBe(120)
    await expect.poll(waiting, { timeout: 60_000 }).toEqual([])
    const addresses = smtp.received.flatMap(({ recipients }) => recipients)
    expect(new Set(addresses).size).toBe(120)
    expect(addresses).toHaveLength(120)
    expect(new Set(acceptedNames()).size).toBe(120)
    expect(acceptedNames()).toHaveLength(120)
    for (const tenant of tenants) {
      const order = posthog.accepted.filter((event) => groupOf(event) === tenant.id).map(({ uuid }) => uuid)
      expect(order).toEqual([...order].sort())
    }
  })

  const children: ChildProcess[] = []
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
  })
  function startProcess(): ChildProcess {
    const child = spawn(process.execPath, bundleProcess('worker.ts'), {
      env: { ...process.env, LOG_LEVEL: 'warn' },
      stdio: 'inherit',
    })
    children.push(child)
    return child
  }

  test('SIGTERM: what is under way is finished, nothing new is begun, the process ends with 0', async () => {
    const held = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    smtp.beforeAccept = () => {
      arrived.resolve()
      return held.promise
    }
    const child = startProcess()
    await invite(acme, 'term@example.test')
    await arrived.promise
    child.kill('SIGTERM')
    await new Promise((resolve) => setTimeout(resolve, 200))
    await invite(acme, 'after@example.test')
    expect(child.exitCode).toBeNull()
    held.resolve()
    const [code] = (await once(child, 'exit')) as [number]
    expect(code).toBe(0)
    expect(smtp.received.map(({ recipients }) => recipients[0])).toEqual(['term@example.test'])
    await expect.poll(waiting, soon).toEqual([expect.objectContaining({ attempts: 0 })])
  })

  test('SIGKILL in the middle: the message comes free with its lease and is sent under the same id', async () => {
    const arrived = Promise.withResolvers<void>()
    const seen: string[] = []
    smtp.beforeAccept = ({ raw }) => {
      seen.push(/message-id: <([^>]+)>/i.exec(raw)?.[1] ?? '')
      arrived.resolve()
      return seen.length === 1 ? new Promise(() => undefined) : Promise.resolve()
    }
    const child = startProcess()
    const id = await invite(acme, 'kill@example.test')
    await arrived.promise
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(await waiting()).toEqual([expect.objectContaining({ id, attempts: 1, aside: false })])
    startWorker()
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(seen).toHaveLength(1)
    await asSuperuser('update outbox set available_at = now()')
    await expect.poll(() => smtp.received.length, soon).toBe(1)
    expect(seen).toEqual([seen[0], seen[0]])
    expect(seen[0]).toContain(id)
    await expect.poll(outbox, soon).toEqual([])
  })

  test('who lost the lease settles nothing', async () => {
    const held = Promise.withResolvers<void>()
    posthog.answer = async () => {
      if (posthog.batches.length === 1) {
        await held.promise
        return 500
      }
      return 200
    }
    const id = await track(acme, 'twice')
    const slow = startWorker({ leaseMs: 200 })
    await expect.poll(() => posthog.batches.length, soon).toBe(1)
    startWorker()
    await expect.poll(() => acceptedNames(), soon).toEqual(['twice'])
    await expect.poll(waiting, soon).toEqual([])
    held.resolve()
    await slow.stop()
    expect((await outbox()).find((row) => row.id === id)).toMatchObject({
      last_error: null,
      delivered_at: expect.any(Date),
    })
  })

  test('cut database connections are survived', async () => {
    startWorker()
    await invite(acme, 'one@example.test')
    await expect.poll(() => smtp.received.length, soon).toBe(1)
    await asSuperuser(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'holdfast%' and datname = current_database()",
    )
    await expect
      .poll(
        async () =>
          invite(acme, 'two@example.test').then(
            () => true,
            () => false,
          ),
        soon,
      )
      .toBe(true)
    await expect.poll(() => smtp.received.length, soon).toBeGreaterThan(1)
  })
})

describe('topics', () => {
  test('an event without subscribers is done; a topic nobody knows is left alone and loads nothing', async () => {
    await asSystem(acme, async () => {
      await tenantQuery("insert into outbox (id, topic, payload) values ($1, 'tier.created', '{}')", [newId()])
      await tenantQuery("insert into outbox (id, topic, payload) values ($1, 'pigeon', '{}')", [newId()])
    })
    startWorker()
    await expect.poll(waiting, soon).toEqual([expect.objectContaining({ topic: 'pigeon', attempts: 0 })])
    await invite(acme, 'beside@example.test')
    await expect.poll(() => smtp.received.length, soon).toBe(1)
  })

  test('the wait after a failure doubles up to an hour', () => {
    const wait = (attempt: number) => Array.from({ length: 200 }, () => backoffMs(attempt))
    expect(Math.min(...wait(1))).toBeGreaterThanOrEqual(4_000)
    expect(Math.max(...wait(1))).toBeLessThanOrEqual(6_000)
    expect(Math.min(...wait(2))).toBeGreaterThanOrEqual(8_000)
    expect(Math.max(...wait(40))).toBeLessThanOrEqual(4_320_000)
  })
})

describe('jobs on the clock', () => {
  test('sweep what has served its time, of every tenant, and nothing else', async () => {
    for (const tenant of [acme, globex]) {
      await asSuperuser(
        `insert into idempotency_keys (tenant_id, actor_id, key, request_hash, created_at)
         select $1, 'somebody', n::text, '\\x00', now() - make_interval(hours => n) from generate_series(1, 48) n`,
        [tenant.id],
      )
      await asSuperuser(
        `insert into outbox (tenant_id, id, topic, payload, available_at, delivered_at)
         select $1, gen_random_uuid(), 'pigeon', '{}', 'infinity', case when n > 0 then now() - make_interval(days => n) end from generate_series(0, 20) n`,
        [tenant.id],
      )
    }
    const swept = await sweepLeftovers(new AbortController().signal)
    expect(swept).toEqual({ idempotency_keys: 50, messages: 28 })
    const [left] = await asSuperuser<{ keys: string; messages: string; oldest: Date }>(
      'select (select count(*) from idempotency_keys) as keys, (select count(*) from outbox) as messages, (select min(created_at) from idempotency_keys) as oldest',
    )
    expect(Number(left?.keys)).toBe(46)
    expect(Number(left?.messages)).toBe(14)
    expect(await sweepLeftovers(new AbortController().signal)).toEqual({ idempotency_keys: 0, messages: 0 })
  })

  test('run at once and again, never beside themselves, and survive their failures', async () => {
    log.level = 'silent'
    let running = 0
    let most = 0
    let runs = 0
    const periodic = startPeriodicJobs([
      {
        name: 'slow',
        everyMs: 10,
        run: async () => {
          runs += 1
          running += 1
          most = Math.max(most, running)
          await new Promise((resolve) => setTimeout(resolve, 25))
          running -= 1
          if (runs === 1) throw new Error('once')
        },
      },
    ])
    await expect.poll(() => runs, soon).toBeGreaterThan(3)
    await periodic.stop()
    const stopped = runs
    await new Promise((resolve) => setTimeout(resolve, 50))
    log.level = 'error'
    expect({ most, running, runs }).toEqual({ most: 1, running: 0, runs: stopped })
  })
})
