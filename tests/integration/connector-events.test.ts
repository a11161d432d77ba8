import { describe, expect, test } from 'vitest'
import { GET as GET_ONE } from '@/app/api/v1/connector-events/[id]/route'
import { GET } from '@/app/api/v1/connector-events/route'
import { ConnectorEventsService } from '@/libs/connectors/connector-events'
import { tenantQuery } from '@/libs/db/tenant-db'
import { runInTenant, setTenantContext } from '@/libs/tenancy/tenant-context'
import { asSuperuser, asSystem, call, createWorld } from '../support/world'

const { acme, globex, stranger } = await createWorld()
const path = '/api/v1/connector-events'
const member = { as: acme.users.member, tenant: acme }

async function list(query = '', options: Parameters<typeof call>[3] = member) {
  const { status, body } = await call(GET, 'GET', `${path}${query}`, options)
  expect(status).toBe(200)
  return body as { data: Record<string, unknown>[]; next_cursor: string | null }
}

describe('who may read', () => {
  test('strangers and other tenants find nothing', async () => {
    expect((await call(GET, 'GET', path, { tenant: acme })).status).toBe(401)
    for (const as of [stranger, globex.users.owner])
      expect((await call(GET, 'GET', path, { as, tenant: acme })).status).toBe(404)
  })

  test('a customer may not', async () => {
    expect((await call(GET, 'GET', path, { as: acme.users.customer, tenant: acme })).status).toBe(403)
  })

  test('everybody who works there may', async () => {
    for (const role of ['owner', 'admin', 'member', 'compliance'] as const) {
      expect((await call(GET, 'GET', path, { as: acme.users[role], tenant: acme })).status).toBe(200)
    }
  })
})

test('bad input is refused by name', async () => {
  for (const [query, pointer] of [
    ['?connector=pigeon', '/connector'],
    ['?status=lost', '/status'],
    ['?limit=x', '/limit'],
    ['?wind=north', '/wind'],
  ]) {
    const { status, body } = await call(GET, 'GET', `${path}${query}`, member)
    expect(status).toBe(422)
    expect(body.errors[0].pointer).toBe(pointer)
  }
})

describe('ConnectorEventsService', () => {
  test('notes a Slack message after setTenantContext, as the example does, and claims nothing more', async () => {
    await setTenantContext(acme.id)
    const id = await ConnectorEventsService.logSlackMessage('#sales', 'A new customer', 'user-1')
    const { data } = await list('?connector=slack')
    expect(data).toEqual([
      expect.objectContaining({
        id,
        connector: 'slack',
        direction: 'outbound',
        action: 'message.recorded',
        target: '#sales',
        status: 'recorded',
        attempts: 0,
        request: { text: 'A new customer' },
        response: null,
        error: null,
        user_id: 'user-1',
      }),
    ])
  })

  test('one event is found by its id, by those of the tenant alone', async () => {
    const id = await asSystem(acme, () => ConnectorEventsService.logSlackMessage('#one', 'Of its own'))
    const get = (of: string, options: Parameters<typeof call>[3] = member) =>
      call(GET_ONE, 'GET', `${path}/${of}`, { ...options, params: { id: of } })
    expect((await get(id)).body).toEqual((await list('?q=%23one')).data[0])
    for (const unknown of [crypto.randomUUID(), 'x']) expect((await get(unknown)).status).toBe(404)
    expect((await get(id, { as: globex.users.owner, tenant: globex })).status).toBe(404)
    expect((await get(id, { as: acme.users.customer, tenant: acme })).status).toBe(403)
  })

  test('keeps no credentials and no query of a URL, and no secret of a payload', async () => {
    await asSystem(acme, async () => {
      await ConnectorEventsService.logWebhook('https://user:pass@hooks.example.test/in?sig=abc#x', 'tier.created', {
        name: 'Pro',
        api_key: 'k',
      })
      await ConnectorEventsService.logWebhook('https://hooks.slack.com/services/T0/B0/secret', 'tier.created')
    })
    const { data } = await list('?connector=webhook')
    expect(data.map(({ target }) => target)).toEqual(
      expect.arrayContaining(['https://hooks.example.test/in', 'https://hooks.slack.com/…']),
    )
    expect(JSON.stringify(data)).not.toMatch(/pass|sig=abc|secret/)
    expect(data.find(({ target }) => target === 'https://hooks.example.test/in')?.request).toEqual({
      event: 'tier.created',
      payload: { name: 'Pro', api_key: '[hidden]' },
    })
  })

  test('takes hostile and overlong texts', async () => {
    await asSystem(acme, async () => {
      await ConnectorEventsService.logSlackMessage('', 'x'.repeat(100_000), 'u'.repeat(500))
      await ConnectorEventsService.logEmail('a\0b@example.test', '\ud800'.repeat(3), null)
      await ConnectorEventsService.logEvent({
        connector: 'http',
        direction: 'inbound',
        action: 'hook.received',
        target: "'; drop table connector_events; --",
        status: 'failed',
        attempts: 1,
        // The last character that has room is one of two halves.
        error: `${'e'.repeat(1_999)}😀${'e'.repeat(9_000)}`,
      })
    })
    const { data } = await list('?status=failed')
    expect(data[0]).toMatchObject({ direction: 'inbound', target: "'; drop table connector_events; --", attempts: 1 })
    expect(data[0]?.error).toBe('e'.repeat(1_999))
  })

  test('anybody acting in the tenant is noted, also without a right to read the notes', async () => {
    const id = await runInTenant(acme.id, { id: 'visitor', kind: 'customer', permissions: [] }, () =>
      ConnectorEventsService.logEmail('ann@example.test', 'Welcome'),
    )
    const rows = await asSuperuser<{ tenant_id: string; status: string }>(
      'select * from connector_events where id = $1',
      [id],
    )
    expect(rows).toEqual([expect.objectContaining({ tenant_id: acme.id, status: 'recorded' })])
  })

  test('outside of a tenant it refuses', async () => {
    await expect(ConnectorEventsService.logSlackMessage('#x', 'y')).rejects.toThrow(/context/)
  })

  test('lists without a route, one page at a time', async () => {
    const page = await asSystem(acme, () => ConnectorEventsService.listConnectorEvents({ limit: 2 }))
    expect(page.data).toHaveLength(2)
    expect(page.next_cursor).not.toBeNull()
  })
})

test('filters and pages', async () => {
  expect((await list('?action=hook.received')).data).toHaveLength(1)
  expect((await list('?direction=inbound')).data).toHaveLength(1)
  expect((await list('?userId=user-1')).data).toHaveLength(1)
  expect((await list('?q=sales')).data).toHaveLength(1)
  expect((await list('?timeRange=24h')).data.length).toBeGreaterThan(5)
  expect((await list('?to=2020-01-01')).data).toEqual([])
  const seen: unknown[] = []
  let cursor: string | null = null
  do {
    const page: Awaited<ReturnType<typeof list>> = await list(`?limit=3${cursor ? `&cursor=${cursor}` : ''}`)
    seen.push(...page.data.map(({ id }) => id))
    cursor = page.next_cursor
  } while (cursor)
  const all = await asSuperuser<{ id: string }>(
    'select id from connector_events where tenant_id = $1 order by id desc',
    [acme.id],
  )
  expect(seen).toEqual(all.map(({ id }) => id))
})

test('another tenant sees none of it, in the list and in SQL', async () => {
  expect((await list('', { as: globex.users.owner, tenant: globex })).data).toEqual([])
  expect(await asSystem(globex, () => tenantQuery('select 1 from connector_events'))).toEqual([])
  expect(await asSystem(globex, () => tenantQuery("update connector_events set status = 'sent' returning id"))).toEqual(
    [],
  )
  await expect(
    asSystem(globex, () =>
      tenantQuery(
        "insert into connector_events (tenant_id, id, connector, action, target, status) values ($1, gen_random_uuid(), 'http', 'a.b', 'c', 'sent')",
        [acme.id],
      ),
    ),
  ).rejects.toMatchObject({ code: '42501' })
})
