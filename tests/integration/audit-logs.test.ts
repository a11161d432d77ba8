import { describe, expect, test, vi } from 'vitest'
import { GET as GET_ONE } from '@/app/api/v1/audit-logs/[id]/route'
import { GET as DOWNLOAD, POST as EXPORT } from '@/app/api/v1/audit-logs/export/route'
import { GET as FACETS } from '@/app/api/v1/audit-logs/facets/route'
import { GET } from '@/app/api/v1/audit-logs/route'
import { GET as EXPORT_USAGE } from '@/app/api/v1/billing-periods/export/route'
import type { AuditLogRow } from '@/features/audit-logs/schema'
import { AuditLogger } from '@/libs/audit/audit-logger'
import { serverPool } from '@/libs/db/pools'
import { tenantQuery } from '@/libs/db/tenant-db'
import { forgetEnv } from '@/libs/env'
import { newId } from '@/libs/ids'
import { runInTenant, setTenantContext } from '@/libs/tenancy/tenant-context'
import { asSuperuser, asSystem, call, createTenant, createWorld, request, setStatus } from '../support/world'

const { acme, globex, stranger } = await createWorld()
const path = '/api/v1/audit-logs'
const soon = { timeout: 15_000 }
const officer = { as: acme.users.compliance, tenant: acme }

type Page = { data: AuditLogRow[]; next_cursor: string | null }
async function list(query = '', options: Parameters<typeof call>[3] = officer): Promise<Page> {
  const { status, body } = await call(GET, 'GET', `${path}${query}`, options)
  expect(status).toBe(200)
  return body as Page
}

/** Rows of the record as nobody but the superuser sees them, the newest first. */
const recorded = (tenant: { id: string }, action: string) =>
  asSuperuser<{
    id: string
    action: string
    outcome: string
    actor_id: string
    metadata: Record<string, unknown>
    target_id: string
  }>(
    `select l.*, d.metadata from audit_logs l join audit_details d using (tenant_id, id)
     where l.tenant_id = $1 and l.action = $2 order by l.id desc`,
    [tenant.id, action],
  )

describe('who may read', () => {
  test('nobody without a credential', async () => {
    for (const handler of [GET, FACETS, DOWNLOAD]) {
      expect((await call(handler, 'GET', path, { tenant: acme })).status).toBe(401)
    }
    expect((await call(EXPORT, 'POST', `${path}/export`, { tenant: acme, body: { format: 'csv' } })).status).toBe(401)
  })

  test('nobody of another tenant: it is as if there were no such tenant', async () => {
    for (const as of [globex.users.owner, stranger]) {
      expect((await call(GET, 'GET', path, { as, tenant: acme })).status).toBe(404)
      expect((await call(DOWNLOAD, 'GET', `${path}/export?format=csv`, { as, tenant: acme })).status).toBe(404)
    }
  })

  test('members and customers may not, and the attempt is on record', async () => {
    for (const role of ['member', 'customer'] as const) {
      const answer = await call(GET, 'GET', path, { as: acme.users[role], tenant: acme })
      expect(answer.status).toBe(403)
    }
    const [denial] = await recorded(acme, 'access.denied')
    expect(denial).toMatchObject({ outcome: 'denied', actor_id: acme.users.customer.id })
  })

  test('owner, admin and compliance may, and a key with the permission', async () => {
    for (const role of ['owner', 'admin', 'compliance'] as const) {
      expect((await call(GET, 'GET', path, { as: acme.users[role], tenant: acme })).status).toBe(200)
    }
    expect((await call(GET, 'GET', path, { as: acme.api_key })).status).toBe(200)
  })
})

describe('bad input', () => {
  test.each([
    ['?limit=0', '/limit'],
    ['?limit=201', '/limit'],
    ['?outcome=maybe', '/outcome'],
    ['?actor_kind=alien', '/actor_kind'],
    ['?action=DROP', '/action'],
    ['?from=yesterday', '/from'],
    ['?time_range=1y', '/time_range'],
    ['?from=2026-11-20&to=2026-11-01', '/from'],
    ['?from=2026-11-20&to=2026-11-19', '/from'],
    ['?from=2026-11-20T09:00:00Z&to=2026-11-20T09:00:00Z', '/from'],
    ['?colour=red', '/colour'],
  ])('%s is refused at %s', async (query, pointer) => {
    const { status, body } = await call(GET, 'GET', `${path}${query}`, officer)
    expect(status).toBe(422)
    expect(body.errors[0].pointer).toBe(pointer)
  })

  test('a cursor that is not ours is refused', async () => {
    for (const cursor of ['x', 'WyJ4Il0', Buffer.from('["1","2"]').toString('base64url')]) {
      expect((await call(GET, 'GET', `${path}?cursor=${cursor}`, officer)).status).toBe(400)
    }
  })

  test('an export without or with an unknown format is refused', async () => {
    expect((await call(EXPORT, 'POST', `${path}/export`, { ...officer, body: {} })).status).toBe(422)
    expect((await call(EXPORT, 'POST', `${path}/export`, { ...officer, body: { format: 'xlsx' } })).status).toBe(422)
    expect((await call(DOWNLOAD, 'GET', `${path}/export`, officer)).status).toBe(422)
  })

  test('a row that is not there, or not ours, is not found', async () => {
    const [foreign] = await asSuperuser<{ id: string }>('select id from audit_logs where tenant_id = $1 limit 1', [
      globex.id,
    ])
    for (const id of ['nothing', acme.id, foreign?.id ?? '']) {
      expect((await call(GET_ONE, 'GET', `${path}/${id}`, { ...officer, params: { id } })).status).toBe(404)
    }
  })
})

describe('AuditLogger', () => {
  test('writes after setTenantContext as the examples do, with what differs and without secrets', async () => {
    await setTenantContext(acme.id)
    const id = await AuditLogger.logUserUpdated(
      'user-1',
      { name: 'Ann', email: 'ann@example.test', password: 'old', role: 'member' },
      { name: 'Anne', email: 'ann@example.test', password: 'new', role: 'member', accessToken: 'abc', city: undefined },
    )
    const { data } = await list('?target_id=user-1')
    expect(data).toHaveLength(1)
    expect(data[0]).toMatchObject({
      id,
      action: 'user.updated',
      outcome: 'success',
      actor: { kind: 'system', id: 'system' },
      target: { type: 'user', id: 'user-1' },
      before: { name: 'Ann', password: '[hidden]' },
      after: { name: 'Anne', password: '[hidden]', accessToken: '[hidden]' },
    })
  })

  test('takes whatever it is given', async () => {
    const circle: Record<string, unknown> = {
      big: 10n,
      when: new Date(0),
      bad: 'a\0b\ud800',
      none: undefined,
      nan: Number.NaN,
    }
    circle.self = circle
    await asSystem(acme, () => AuditLogger.log({ action: 'thing.tried', target_type: 'thing', after: circle }))
    const [row] = (await list('?action=thing.tried')).data
    expect(row?.after).toMatchObject({
      big: '10',
      when: '1970-01-01T00:00:00.000Z',
      bad: 'a\u{fffd}b\u{fffd}',
      nan: 'NaN',
    })
  })

  test('hides keys and tokens by their form, whatever the field is called', async () => {
    const key = acme.api_key
    await asSystem(acme, () => AuditLogger.log({ action: 'thing.seen', target_type: 'thing', metadata: { note: key } }))
    const [row] = (await list('?action=thing.seen')).data
    expect(JSON.stringify(row)).not.toContain(key)
    expect(row?.metadata).toEqual({ note: '[hidden]' })
  })

  test('says who signed in, out, or failed to', async () => {
    await asSystem(acme, async () => {
      await AuditLogger.logSignIn('user-9', { method: 'password' })
      await AuditLogger.logSignOut('user-9')
      await AuditLogger.logSignInFailed('ann@example.test', 'wrong password')
      await AuditLogger.logUserCreated('user-9', { name: 'Nine' })
      await AuditLogger.logUserDeleted('user-9', { name: 'Nine' })
    })
    const { data } = await list('?action=user.')
    expect(data.map(({ action, outcome }) => `${action} ${outcome}`)).toEqual(
      expect.arrayContaining([
        'user.signed_in success',
        'user.signed_out success',
        'user.sign_in_failed failure',
        'user.created success',
        'user.deleted success',
      ]),
    )
  })

  test('the address somebody tried is a detail that can be erased, not a part of the record itself', async () => {
    await asSystem(globex, async () => {
      await AuditLogger.logSignInFailed('bea@example.test', 'wrong password', { place: 'portal' })
      await AuditLogger.logSignInFailed(globex.users.member.id, 'wrong password')
      await AuditLogger.logSignInFailed(null, 'wrong password')
    })
    const rows = await recorded(globex, 'user.sign_in_failed')
    expect(rows.map(({ target_id, metadata }) => [target_id, metadata])).toEqual([
      [null, { reason: 'wrong password' }],
      [globex.users.member.id, { reason: 'wrong password' }],
      [null, { reason: 'wrong password', place: 'portal', tried: 'bea@example.test' }],
    ])
    const kept = await asSuperuser<{ row: string }>('select to_jsonb(l)::text as row from audit_logs l')
    expect(kept.map(({ row }) => row).join()).not.toContain('bea@example.test')
  })

  test('outside of a tenant it refuses', async () => {
    await expect(AuditLogger.logSignIn('x')).rejects.toThrow(/context/)
  })

  test('is rolled back with what it speaks of', async () => {
    await expect(
      asSystem(acme, async () => {
        await AuditLogger.log({ action: 'thing.undone', target_type: 'thing' })
        throw new Error('stop')
      }),
    ).rejects.toThrow('stop')
    expect(await recorded(acme, 'thing.undone')).toEqual([])
  })
})

describe('list', () => {
  test('shows changes with actor, before and after, newest first, and only of this tenant', async () => {
    await runInTenant(
      acme.id,
      {
        id: acme.users.admin.id,
        kind: 'user',
        label: acme.users.admin.email,
        permissions: ['tenants:write'],
        request_id: 'request-0001',
        ip: '203.0.113.7',
        user_agent: 'Browser',
      },
      ({ client }) =>
        Promise.resolve(client?.query("update tenants set name = 'Acme Corporation' where id = $1", [acme.id])),
    )
    const { data } = await list()
    expect(data.map(({ id }) => id)).toEqual(
      data
        .map(({ id }) => id)
        .sort()
        .reverse(),
    )
    const change = data.find(({ action }) => action === 'tenant.updated')
    expect(change).toMatchObject({
      actor: { kind: 'user', id: acme.users.admin.id, label: acme.users.admin.email },
      target: { type: 'tenant', id: acme.id },
      before: { name: 'A Company' },
      after: { name: 'Acme Corporation' },
      request_id: 'request-0001',
      ip: '203.0.113.7',
      user_agent: 'Browser',
      outcome: 'success',
    })
    expect(change?.created_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
    const foreign = await asSuperuser<{ id: string }>('select id from audit_logs where tenant_id = $1', [globex.id])
    expect(data.map(({ id }) => id)).not.toEqual(expect.arrayContaining([foreign[0]?.id]))
    const one = await call(GET_ONE, 'GET', `${path}/${change?.id}`, { ...officer, params: { id: change?.id ?? '' } })
    expect(one.body).toEqual(change)
    expect((await recorded(acme, 'audit_log.read'))[0]).toMatchObject({ target_id: change?.id })
  })

  test('what stands between two is named after both, as they are called now; what is gone or hidden is not', async () => {
    const [tier, subscription, gone] = [newId(), newId(), newId()]
    await asSystem(globex, async () => {
      await tenantQuery("insert into tiers (id, slug, name) values ($1, 'gold', 'Silver')", [tier])
      await tenantQuery('insert into subscriptions (id, customer_id, tier_id) values ($1, $2, $3)', [
        subscription,
        globex.customer.id,
        tier,
      ])
      await tenantQuery("update tiers set name = 'Gold' where id = $1", [tier])
      await AuditLogger.log({ action: 'customer.waved', target_type: 'customer', target_id: gone })
    })
    const { data } = await list('', { as: globex.users.compliance, tenant: globex })
    const nameOf = (id: string) => data.filter(({ target }) => target.id === id).map(({ target }) => target.name)
    expect(nameOf(subscription)).toEqual(['Customer One · Gold'])
    expect(nameOf(tier)).toEqual(['Gold', 'Gold'])
    expect(nameOf(gone)).toEqual([null])
  })

  test('every filter narrows', async () => {
    const cases: [string, (row: AuditLogRow) => boolean][] = [
      [`?actor_id=${acme.users.admin.id}`, (row) => row.actor.id === acme.users.admin.id],
      ['?actor_kind=system', (row) => row.actor.kind === 'system'],
      ['?action=tenant.updated', (row) => row.action === 'tenant.updated'],
      ['?action=membership.', (row) => row.action.startsWith('membership.')],
      ['?target_type=membership', (row) => row.target.type === 'membership'],
      [`?target_id=${acme.api_key_id}`, (row) => row.target.id === acme.api_key_id],
      ['?outcome=denied', (row) => row.outcome === 'denied'],
      ['?request_id=request-0001', (row) => row.request_id === 'request-0001'],
      ['?q=SIGNED', (row) => row.action.includes('signed')],
      [`?q=${acme.users.admin.email}`, (row) => row.actor.label === acme.users.admin.email],
      ['?timeRange=24h&actorKind=job', (row) => row.actor.kind === 'job'],
    ]
    for (const [query, belongs] of cases) {
      const { data } = await list(`${query}&limit=200`)
      expect(data.every(belongs), query).toBe(true)
      if (!query.includes('job')) expect(data.length, query).toBeGreaterThan(0)
    }
    expect((await list('?q=100%25_sure')).data).toEqual([])
  })

  test('time: moments exclude their end, days are those of the tenant and include it', async () => {
    const auckland = await createTenant('auckland', { time_zone: 'Pacific/Auckland' })
    const mine = { as: auckland.users.owner, tenant: auckland }
    const today = new Intl.DateTimeFormat('en-CA', { timeZone: 'Pacific/Auckland' }).format(new Date())
    const tomorrow = new Date(Date.parse(today) + 86_400_000).toISOString().slice(0, 10)
    expect((await list(`?from=${today}&to=${today}&action=membership.created`, mine)).data).toHaveLength(4)
    expect((await list(`?from=${tomorrow}`, mine)).data).toEqual([])
    const all = await list('?action=membership.created', mine)
    const at = all.data[0]?.created_at ?? ''
    // Rows of one transaction may share a millisecond, which is as exact as a moment is read.
    const earlier = (row: { created_at: string }) => Date.parse(row.created_at) < Date.parse(at)
    const before = (await list(`?to=${at}&action=membership.created`, mine)).data
    expect(before.every(earlier)).toBe(true)
    const rest = (await list(`?from=${at}&action=membership.created`, mine)).data
    expect(rest.some(earlier)).toBe(false)
    expect(before.length).toBeLessThan(4)
    expect(rest.length).toBeGreaterThan(0)
  })

  test('pages hold every row once, also while rows are added', async () => {
    const before = await asSuperuser<{ id: string }>(
      'select id from audit_logs where tenant_id = $1 order by id desc',
      [acme.id],
    )
    const seen: string[] = []
    let cursor: string | null = null
    do {
      const page: Page = await list(`?limit=7${cursor ? `&cursor=${cursor}` : ''}`)
      seen.push(...page.data.map(({ id }) => id))
      await asSystem(acme, () => AuditLogger.log({ action: 'thing.added', target_type: 'thing' }))
      cursor = page.next_cursor
    } while (cursor)
    expect(seen).toEqual(before.map(({ id }) => id))
  })

  test('looking is on record, with the filters, each page', async () => {
    const count = (await recorded(acme, 'audit_log.read')).length
    const { next_cursor } = await list('?outcome=denied&limit=1')
    await list(`?outcome=denied&limit=1&cursor=${next_cursor}`)
    const reads = await recorded(acme, 'audit_log.read')
    expect(reads).toHaveLength(count + 2)
    expect(reads[1]).toMatchObject({
      actor_id: acme.users.compliance.id,
      metadata: { filters: { outcome: 'denied' }, rows: 1 },
    })
    expect(reads[0]?.metadata).toMatchObject({ continued: true })
  })

  test('facets name the actions, targets and actors there are, of this tenant alone', async () => {
    const { status, body } = await call(FACETS, 'GET', `${path}/facets`, officer)
    expect(status).toBe(200)
    const truth = await asSuperuser<{ action: string }>(
      'select distinct action from audit_logs where tenant_id = $1 order by action',
      [acme.id],
    )
    expect(body.actions).toEqual(truth.map(({ action }) => action))
    expect(body.target_types).toEqual(expect.arrayContaining(['tenant', 'membership', 'audit_log']))
    const actors = body.actors as { id: string; kind: string; label: string | null }[]
    expect(actors).toContainEqual({ id: acme.users.admin.id, kind: 'user', label: acme.users.admin.email })
    expect(actors.map(({ id }) => id)).not.toContain(globex.users.owner.id)
  })

  test('a suspended tenant does not answer', async () => {
    await setStatus(globex, 'suspended')
    const theirs = { as: globex.users.owner, tenant: globex }
    expect((await call(GET, 'GET', path, theirs)).status).toBe(423)
    expect((await call(DOWNLOAD, 'GET', `${path}/export?format=csv`, theirs)).status).toBe(423)
    await setStatus(globex, 'active')
  })
})

/** A small reader of RFC 4180, so that the writer is not its own judge. */
function readCsv(text: string): string[][] {
  const rows: string[][] = []
  const cell = /(?:"((?:[^"]|"")*)"|([^,\r\n]*))(,|\r\n|$)/y
  let row: string[] = []
  while (cell.lastIndex < text.length) {
    const match = cell.exec(text)
    if (!match) throw new Error(`not CSV at ${cell.lastIndex}`)
    row.push(match[1] === undefined ? (match[2] ?? '') : match[1].replaceAll('""', '"'))
    if (match[3] !== ',') {
      rows.push(row)
      row = []
    }
  }
  return rows
}

/** The rows of a JSONL export. */
async function exportLines(
  filters: Record<string, string>,
): Promise<{ text: string; type: string | null; rows: AuditLogRow[] }> {
  const response = await EXPORT(
    await request('POST', `${path}/export`, { ...officer, body: { format: 'jsonl', ...filters } }),
  )
  const text = await response.text()
  const lines = text.trimEnd().split('\n')
  return {
    text,
    type: response.headers.get('content-type'),
    rows: lines.map((line) => JSON.parse(line) as AuditLogRow),
  }
}

describe('export', () => {
  test('CSV: header, one row each, formulas made harmless, a file name with tenant and day', async () => {
    const formulas = ['=HYPERLINK("http://evil.test")', '+1+1', '-2+3', '@SUM(A1)', '\t=1', '\r=1']
    await asSystem(acme, async () => {
      for (const target_id of formulas)
        await AuditLogger.log({ action: 'formula.tried', target_type: 'formula', target_id })
      await AuditLogger.log({
        action: 'formula.tried',
        target_type: 'formula',
        target_id: 'a "quoted", cell\r\nof two lines',
      })
    })
    const answer = await call(DOWNLOAD, 'GET', `${path}/export?format=csv&action=formula.tried`, officer)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe('text/csv; charset=utf-8')
    expect(answer.headers.get('cache-control')).toBe('private, no-store')
    const today = new Date().toISOString().slice(0, 10)
    expect(answer.headers.get('content-disposition')).toBe(`attachment; filename="acme-audit-log-${today}.csv"`)
    const [header, ...rows] = readCsv(answer.text)
    expect(header?.slice(0, 4)).toEqual(['id', 'created_at', 'action', 'outcome'])
    const targets = rows.map((row) => row[header?.indexOf('target_id') ?? 0])
    expect(targets.sort()).toEqual(
      [...formulas.map((formula) => `'${formula}`), 'a "quoted", cell\r\nof two lines'].sort(),
    )
    expect(rows.flat().filter((value) => /^[=+\-@\t\r]/.test(value))).toEqual([])
  })

  test('an empty CSV still has its header', async () => {
    const answer = await call(EXPORT, 'POST', `${path}/export`, {
      ...officer,
      body: { format: 'csv', action: 'nothing.happened' },
    })
    expect(readCsv(answer.text)).toHaveLength(1)
  })

  test('JSONL is exact: numbers keep their digits, and each line is the row of the list', async () => {
    await asSystem(acme, async () => {
      await AuditLogger.log({ action: 'number.kept', target_type: 'number', metadata: { note: 'é 漢字 🙂' } })
    })
    await asSuperuser(
      `select set_config('app.current_tenant', $1, false), app.record_audit($1::uuid, 'number.kept', 'number', null, 'success', null,
        '{"cap": 123456789012345678901234567890.5}', null)`,
      [acme.id],
    )
    const { text, type, rows } = await exportLines({ action: 'number.kept' })
    expect(type).toBe('application/x-ndjson; charset=utf-8')
    expect(text).toContain('123456789012345678901234567890.5')
    // What a target is called now is no part of what was recorded.
    const listed = (await list('?action=number.kept')).data.reverse()
    expect(rows).toEqual(listed.map(({ target: { name: _, ...target }, ...row }) => ({ ...row, target })))
  })

  test('is on record before it starts, and how it ended after', async () => {
    await exportLines({ action: 'formula.tried' })
    const [exported] = await recorded(acme, 'audit_log.exported')
    expect(exported).toMatchObject({
      actor_id: acme.users.compliance.id,
      metadata: { format: 'jsonl', filters: { action: 'formula.tried' }, rows: 7 },
    })
    const completed = async () =>
      (await recorded(acme, 'audit_log.export_completed')).find(({ target_id }) => target_id === exported?.id)
    await expect.poll(completed, soon).toMatchObject({ outcome: 'success', metadata: { rows: 7 } })
  })

  describe('of ten thousand rows', async () => {
    const big = await createTenant('big')
    const theirs = { as: big.users.compliance, tenant: big }
    await asSuperuser(
      `select app.record_audit($1::uuid, 'row.made', 'row', n::text, 'success', null, jsonb_build_object('n', n), null) from generate_series(1, 10000) n`,
      [big.id],
    )

    test('holds each once, in order, from one snapshot though rows are added while it runs', async () => {
      const response = await DOWNLOAD(await request('GET', `${path}/export?format=jsonl&action=row.made`, theirs))
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
      let text = ''
      for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
        if (text === '')
          await asSystem(big, () => AuditLogger.log({ action: 'row.made', target_type: 'row', target_id: 'late' }))
        text += part.value
      }
      const rows = text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as AuditLogRow)
      expect(rows.map(({ target }) => target.id).sort((a, b) => Number(a) - Number(b))).toEqual(
        Array.from({ length: 10_000 }, (_, index) => String(index + 1)),
      )
      expect(rows.map(({ id }) => id)).toEqual(rows.map(({ id }) => id).sort())
    })

    test('says before it starts exactly how many rows it holds, whatever is written while it begins', async () => {
      let begun = false
      const write = async () => {
        while (!begun) await asSystem(big, () => AuditLogger.log({ action: 'row.added', target_type: 'row' }))
      }
      const writing = [write(), write(), write()]
      const response = await DOWNLOAD(await request('GET', `${path}/export?format=jsonl`, theirs))
      begun = true
      await Promise.all(writing)
      const lines = (await response.text()).trimEnd().split('\n')
      const [exported] = await recorded(big, 'audit_log.exported')
      expect(exported?.metadata).toMatchObject({ rows: lines.length })
    })

    test('a reader who goes away ends it, and the connection is free again', async () => {
      const response = await DOWNLOAD(await request('GET', `${path}/export?format=csv&action=row.made`, theirs))
      const reader = response.body?.getReader()
      await reader?.read()
      await reader?.cancel()
      await expect
        .poll(async () => (await recorded(big, 'audit_log.export_completed'))[0]?.outcome, soon)
        .toBe('failure')
      await expect.poll(() => serverPool().totalCount - serverPool().idleCount, soon).toBe(0)
    })

    test('HEAD asks for none of it, holds up nothing, and leaves no record', async () => {
      const exports = async () =>
        (await recorded(big, 'audit_log.exported')).length + (await recorded(big, 'audit_log.export_completed')).length
      const before = await exports()
      for (let time = 0; time < 3; time += 1) {
        const head = await DOWNLOAD(await request('HEAD', `${path}/export?format=csv&action=row.made`, theirs))
        expect([head.status, head.headers.get('content-type'), head.body]).toEqual([
          200,
          'text/csv; charset=utf-8',
          null,
        ])
      }
      await expect.poll(() => serverPool().totalCount - serverPool().idleCount, soon).toBe(0)
      expect(await exports()).toBe(before)
    })

    test('two run beside each other, a third is asked to wait', async () => {
      const start = async () => DOWNLOAD(await request('GET', `${path}/export?format=csv&action=row.made`, theirs))
      const [first, second] = [await start(), await start()]
      const third = await start()
      expect(third.status).toBe(429)
      expect(third.headers.get('retry-after')).toBe('10')
      const ofAnotherKind = await call(EXPORT_USAGE, 'GET', '/api/v1/billing-periods/export?format=csv', theirs)
      expect(ofAnotherKind.status).toBe(429)
      const [one, two] = await Promise.all([first.text(), second.text()])
      expect(one).toBe(two)
      await expect
        .poll(
          async () =>
            await start().then(async (again) => {
              await again.text()
              return again.status
            }),
          soon,
        )
        .toBe(200)
    })

    test('readers who stand still make room for others when there is none left', async () => {
      process.env.DATABASE_POOL_SIZE = '4'
      forgetEnv()
      const start = async () => DOWNLOAD(await request('GET', `${path}/export?format=csv&action=row.made`, theirs))
      const still = [await start(), await start()]
      const ask = async () => DOWNLOAD(await request('GET', `${path}/export?format=csv`, officer))
      expect((await ask()).status).toBe(429)
      const clock = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 6_000)
      try {
        const other = await ask()
        expect(other.status).toBe(200)
        expect(readCsv(await other.text()).length).toBeGreaterThan(1)
      } finally {
        clock.mockRestore()
        delete process.env.DATABASE_POOL_SIZE
        forgetEnv()
      }
      const ends = await Promise.allSettled(still.map((answer) => answer.text()))
      expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    })

    test('a lost database connection breaks the file off, it never looks whole', async () => {
      const response = await DOWNLOAD(await request('GET', `${path}/export?format=jsonl&action=row.made`, theirs))
      const reader = response.body?.getReader()
      await reader?.read()
      await asSuperuser(
        "select pg_terminate_backend(pid) from pg_stat_activity where query like 'fetch %' and datname = current_database()",
      )
      const rest = async () => {
        for (let part = await reader?.read(); part && !part.done; part = await reader?.read());
      }
      await expect(rest()).rejects.toThrow()
    })
  })
})

test('the record cannot be changed by those who write it', async () => {
  for (const statement of [
    'update audit_logs set action = $$a.b$$',
    'delete from audit_logs',
    'delete from audit_details',
  ]) {
    await expect(
      asSystem(acme, async () => (await import('@/libs/db/tenant-db')).tenantQuery(statement)),
    ).rejects.toMatchObject({ code: '42501' })
  }
})
