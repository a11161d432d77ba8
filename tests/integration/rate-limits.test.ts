// Rate limits: the same verdicts in memory and in Postgres, across processes, and what happens when the store is away.
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { POST as limitRoute } from '@/app/api/v1/rate-limits/limit/route'
import { DELETE, GET as getRoute, PATCH } from '@/app/api/v1/rate-limits/overrides/[id]/route'
import { GET as listRoute, POST } from '@/app/api/v1/rate-limits/overrides/route'
import { forgetEnv } from '@/libs/env'
import { newId } from '@/libs/ids'
import { forgetWindows } from '@/libs/rate-limit/memory-store'
import { sweepWindows } from '@/libs/rate-limit/sweep-windows'
import { whenHeard } from '../support/heard'
import { startIngestProcess } from '../support/ingest-process'
import { requireVariable } from '../support/variables'
import {
  asSuperuser,
  call,
  createApiKey,
  createTenant,
  createWorld,
  type RequestOptions,
  setStatus,
} from '../support/world'

const { acme, globex, stranger } = await createWorld()
const path = '/api/v1/rate-limits'
const admin: RequestOptions = { as: acme.users.admin, tenant: acme }
const limit = (body: unknown, options: RequestOptions = { as: acme.api_key }) =>
  call(limitRoute, 'POST', `${path}/limit`, { ...options, body })
const set = (body: unknown, options = admin) => call(POST, 'POST', `${path}/overrides`, { ...options, body })
const list = (query = '', options = admin) => call(listRoute, 'GET', `${path}/overrides${query}`, options)
const ask = (over: object = {}) => ({ namespace: 'n', identifier: 'i', limit: 5, duration: 60_000, ...over })

const useStore = (store: string) => {
  process.env.RATE_LIMIT_STORE = store
  forgetEnv()
}
afterEach(() => {
  vi.useRealTimers()
  delete process.env.RATE_LIMIT_STORE
  forgetEnv()
})

describe('who may', () => {
  test.each([
    ['nobody', { tenant: acme }, 401],
    ['a stranger', { as: stranger, tenant: acme }, 404],
    ['a customer', { as: acme.users.customer, tenant: acme }, 403],
    ['a member', { as: acme.users.member, tenant: acme }, 403],
  ] as [string, RequestOptions, number][])('%s: %s', async (_who, options, status) => {
    const id = newId()
    expect((await limit(ask(), options)).status).toBe(status)
    expect((await set(ask(), options)).status).toBe(status)
    expect((await list('', options)).status).toBe(status)
    for (const [handler, method] of [
      [getRoute, 'GET'],
      [PATCH, 'PATCH'],
      [DELETE, 'DELETE'],
    ] as const)
      expect((await call(handler, method, `${path}/overrides/${id}`, { ...options, params: { id } })).status).toBe(
        status,
      )
  })
})

describe.each(['memory', 'postgres'])('in %s', (store) => {
  beforeEach(() => {
    useStore(store)
    forgetWindows()
  })
  const name = (text: string) => `${store} ${text}`

  test('as many as the limit pass at once, and headers say how it stands', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => limit(ask({ namespace: name('burst') }))))
    expect(answers.filter(({ body }) => body.success)).toHaveLength(5)
    const refused = answers.find(({ body }) => !body.success)
    expect(refused).toMatchObject({ status: 200, body: { limit: 5, remaining: 0, override_id: null } })
    expect(refused?.headers.get('ratelimit-policy')).toBe(`"${name('burst')}";q=5;w=60`)
    expect(refused?.headers.get('ratelimit')).toMatch(/;r=0;t=\d+$/)
    expect(refused?.headers.get('x-ratelimit-remaining')).toBe('0')
    const wait = Number(refused?.headers.get('retry-after'))
    expect(wait).toBeGreaterThanOrEqual(1)
    expect(wait).toBeLessThanOrEqual(120)
    const passed = answers.find(({ body }) => body.success)
    expect(passed?.headers.get('retry-after')).toBeNull()
  })

  test('several are all or nothing, and one tenant’s are not another’s', async () => {
    const both = [ask({ namespace: name('a'), limit: 10 }), ask({ namespace: name('b'), limit: 1 })]
    expect((await limit(both)).body).toMatchObject({ success: true, limits: [{ remaining: 9 }, { remaining: 0 }] })
    expect((await limit(both)).body).toMatchObject({
      success: false,
      limits: [
        { success: true, remaining: 9 },
        { success: false, remaining: 0 },
      ],
    })
    expect((await limit(both, { as: globex.api_key })).body.success).toBe(true)
  })

  test('a refused call passes when it was told it would, and refusals do not put that off', async () => {
    const short = ask({ namespace: name('short'), limit: 2, duration: 1_000 })
    const answers = await Promise.all(Array.from({ length: 8 }, () => limit(short)))
    expect(answers.filter(({ body }) => body.success)).toHaveLength(2)
    const { reset } = answers.find(({ body }) => !body.success)?.body ?? {}
    await new Promise((resolve) => setTimeout(resolve, reset - Date.now() + 10))
    expect((await limit(short)).body.success).toBe(true)
  })

  test('a cost is taken whole or not at all', async () => {
    const costly = (cost: number) => limit(ask({ namespace: name('cost'), cost }))
    expect((await costly(4)).body).toMatchObject({ success: true, remaining: 1 })
    expect((await costly(2)).body).toMatchObject({ success: false, remaining: 1 })
    expect((await costly(0)).body).toMatchObject({ success: true, remaining: 1 })
    expect((await costly(1)).body).toMatchObject({ success: true, remaining: 0 })
  })
})

describe('shared through Postgres', () => {
  test('two processes let through what one would', async () => {
    const processes = await Promise.all([0, 1].map(() => startIngestProcess({ RATE_LIMIT_STORE: 'postgres' })))
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        processes[index % 2]?.send({
          path: `${path}/limit`,
          headers: { authorization: `Bearer ${acme.api_key}` },
          body: ask({ namespace: 'two', limit: 20 }),
        }),
      ),
    )
    await Promise.all(processes.map((ingest) => ingest.end()))
    expect(answers.filter((answer) => answer?.body.success)).toHaveLength(20)
  })

  test.each(['memory', 'postgres'])('what one call asks for twice is waited for together: %s', async (store) => {
    useStore(store)
    const once = ask({ namespace: `twice in ${store}`, limit: 1 })
    const { limits } = (await limit([once, once])).body
    expect(limits.map(({ success }: { success: boolean }) => success)).toEqual([true, false])
    // It never fits, so that both are told the end of the window.
    expect(limits[1].reset).toBe(limits[0].reset)
  })

  test('while the store does not answer, limits hold in the memory of each process, and soon again in the store', async () => {
    useStore('postgres')
    const away = ask({ namespace: 'away', limit: 3 })
    expect((await limit(away)).body).toMatchObject({ success: true, remaining: 2 })
    const locker = new pg.Client({ connectionString: requireVariable('SUPERUSER_DATABASE_URL') })
    await locker.connect()
    await locker.query('begin; lock table rate_limit_windows in access exclusive mode')
    const verdicts = []
    const took: number[] = []
    for (let asked = 0; asked < 5; asked += 1) {
      const began = performance.now()
      verdicts.push((await limit(away)).body.success)
      took.push(performance.now() - began)
    }
    // A quarter of a second for the first, nothing for the others, whatever else the machine has to do.
    expect(took[0]).toBeGreaterThan(240)
    expect(took.slice(1).sort((a, b) => a - b)[1]).toBeLessThan(200)
    expect(verdicts).toEqual([true, true, true, false, false])
    await locker.query('rollback')
    await locker.end()
    // A clock that is put back meanwhile keeps nobody from it.
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 3_600_000 })
    // The first that found no answer was counted when the lock was gone.
    await expect.poll(async () => (await limit({ ...away, cost: 0 })).body.remaining, { timeout: 10_000 }).toBe(1)
  })

  test('a clock that is put back leaves nobody waiting until it was that late again', async () => {
    useStore('postgres')
    const call = ask({ namespace: 'put back', limit: 1 })
    const by = (ms: number) =>
      asSuperuser("update rate_limit_windows set started_ms = started_ms + $1 where namespace = 'put back'", [ms])
    expect((await limit(call)).body.success).toBe(true)
    await by(30_000)
    expect((await limit(call)).body.success).toBe(false)
    await by(3_600_000)
    expect((await limit(call)).body.success).toBe(true)
    expect((await limit(call)).body.success).toBe(false)
  })

  test('windows that have passed are swept', async () => {
    useStore('postgres')
    await limit(ask({ namespace: 'swept' }))
    await limit(ask({ namespace: 'kept' }))
    await asSuperuser("update rate_limit_windows set stale_at = now() - interval '1 second' where namespace = 'swept'")
    const { windows } = await sweepWindows(new AbortController().signal)
    expect(windows).toBeGreaterThanOrEqual(1)
    const rows = await asSuperuser<{ namespace: string }>(
      "select namespace from rate_limit_windows where namespace in ('swept', 'kept')",
    )
    expect(rows).toEqual([{ namespace: 'kept' }])
  })
})

describe('overrides', () => {
  test('are set, found, changed, listed and deleted', async () => {
    const made = await set(ask({ namespace: 'crud', identifier: 'a*', limit: 7 }))
    expect(made).toMatchObject({
      status: 201,
      body: { namespace: 'crud', identifier: 'a*', limit: 7, duration: 60_000 },
    })
    const again = await set(ask({ namespace: 'crud', identifier: 'a*', limit: 8 }))
    expect(again).toMatchObject({ status: 200, body: { id: made.body.id, limit: 8 } })
    await set(ask({ namespace: 'crud', identifier: 'b' }))
    const one = (method: 'GET' | 'PATCH' | 'DELETE', body?: unknown, options = admin) =>
      call({ GET: getRoute, PATCH, DELETE }[method], method, `${path}/overrides/${made.body.id}`, {
        ...options,
        params: { id: made.body.id },
        ...(body ? { body } : {}),
      })
    expect((await one('PATCH', { limit: 9 })).body).toMatchObject({ limit: 9, duration: 60_000 })
    expect(await one('PATCH', {})).toMatchObject({ status: 200, body: (await one('GET')).body })
    const page = await list('?namespace=crud&limit=1')
    expect(page.body.data).toMatchObject([{ identifier: 'a*', limit: 9 }])
    const next = await list(`?namespace=crud&limit=1&cursor=${page.body.next_cursor}`)
    expect(next.body).toMatchObject({ data: [{ identifier: 'b' }], next_cursor: null })
    const other = { as: globex.users.owner, tenant: globex }
    for (const method of ['GET', 'PATCH', 'DELETE'] as const)
      expect((await one(method, method === 'PATCH' ? { limit: 1 } : undefined, other)).status).toBe(404)
    expect((await one('DELETE')).status).toBe(204)
    expect((await one('GET')).status).toBe(404)
  })

  test('the exact one comes before the longest pattern, a pattern before what is asked, at once', async () => {
    const namespace = 'order'
    const seen = async (identifier: string) => (await limit(ask({ namespace, identifier }))).body.limit
    expect(await seen('team_red')).toBe(5)
    await set(ask({ namespace, identifier: '*', limit: 10 }))
    await set(ask({ namespace, identifier: 'team_*', limit: 20 }))
    await set(ask({ namespace, identifier: 'team_red', limit: 30 }))
    const all = async () => [await seen('team_red'), await seen('team_blue'), await seen('anybody')]
    await expect.poll(all, whenHeard).toEqual([30, 20, 10])
    expect((await limit(ask({ namespace, identifier: 'team_red' }), { as: globex.api_key })).body.limit).toBe(5)
  })

  test('are in the record', async () => {
    const rows = await asSuperuser<{ action: string }>(
      "select distinct action from audit_logs where tenant_id = $1 and target_type = 'rate_limit_override' order by 1",
      [acme.id],
    )
    expect(rows.map(({ action }) => action)).toEqual([
      'rate_limit_override.created',
      'rate_limit_override.deleted',
      'rate_limit_override.updated',
    ])
  })
})

test.each([
  [{}, '/namespace'],
  [ask({ limit: -1 }), '/limit'],
  [ask({ duration: 0 }), '/duration'],
  [ask({ cost: 0.5 }), '/cost'],
  [ask({ identifier: '' }), '/identifier'],
  [ask({ identifier: 'a\nb' }), '/identifier'],
  [ask({ color: 'red' }), '/color'],
])('%j is invalid at %s', async (body, pointer) => {
  const answer = await limit(body)
  expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_input' } })
  expect(answer.body.errors.map((error: { pointer: string }) => error.pointer)).toContain(pointer)
})

test('a suspended tenant is limited by nobody', async () => {
  const tenant = await createTenant('limits-asleep')
  const { key } = await createApiKey(tenant, ['usage:write'])
  expect((await limit(ask(), { as: key })).status).toBe(200)
  await setStatus(tenant, 'suspended')
  await expect.poll(async () => (await limit(ask(), { as: key })).status, whenHeard).toBe(423)
})
