import { describe, expect, test } from 'vitest'
import { GET as me } from '@/app/api/v1/me/route'
import { GET as getMeters } from '@/app/api/v1/meters/route'
import { GET as explain } from '@/app/api/v1/tenant/explain/route'
import { GET as info } from '@/app/api/v1/tenant/info/route'
import { DELETE, GET, PATCH, PUT } from '@/app/api/v1/tenants/[id]/route'
import { POST as createAlias } from '@/app/api/v1/tenants/create/route'
import { GET as currentInfo } from '@/app/api/v1/tenants/current/info/route'
import { POST as create, GET as list } from '@/app/api/v1/tenants/route'
import { isTimeZone, spellTimeZone } from '@/libs/api-utils/time-zone-input'
import { log } from '@/libs/log'
import { toSlug } from '@/libs/tenancy/slug'
import { offsetAt } from '@/libs/tenancy/zoned-day'
import { asSuperuser, call, createTenant, createWorld, newUser, type TestTenant, type TestUser } from '../support/world'

const { acme, globex, operators, stranger } = await createWorld()

const post = (as: TestUser | string | undefined, body: unknown, headers: Record<string, string> = {}) =>
  call(create, 'POST', '/api/v1/tenants', { ...(as ? { as } : {}), body, headers })

const ON_ONE = { DELETE, GET, PATCH, PUT }
const tenantCall = (method: 'GET' | 'PATCH' | 'PUT' | 'DELETE', id: string, as: TestUser | string, body?: unknown) =>
  call(ON_ONE[method], method, `/api/v1/tenants/${id}`, { as, params: { id }, ...(body === undefined ? {} : { body }) })

const auditOf = (tenant: { id: string }, action: string) =>
  asSuperuser<{ actor_kind: string; actor_id: string; before: unknown; after: Record<string, unknown> }>(
    `select l.actor_kind, l.actor_id, d.before, d.after from audit_logs l join audit_details d using (tenant_id, id)
     where l.tenant_id = $1 and l.action = $2 order by l.id`,
    [tenant.id, action],
  )

describe('create', () => {
  test('nobody without a session; a key is not a person', async () => {
    expect((await post(undefined, { name: 'Mine' })).status).toBe(401)
    expect(await post(acme.api_key, { name: 'Mine' })).toMatchObject({
      status: 401,
      body: { detail: 'This is asked as a person: send an access token, not an API key.' },
    })
    const bare = await call(create, 'POST', '/api/v1/tenants', {
      as: stranger,
      cookie: true,
      headers: { origin: 'http://evil.example' },
      body: { name: 'Mine' },
    })
    expect(bare.status).toBe(403)
  })

  test('a plan that operators give is refused to everybody else', async () => {
    for (const plan of ['premium', 'pro', 'enterprise', 'custom']) {
      expect((await post(stranger, { name: 'Greedy', plan })).status).toBe(403)
    }
  })

  test('each wrong value is named, and so are unknown fields', async () => {
    const answer = await post(stranger, {
      name: ' ',
      slug: 'Not a slug',
      time_zone: 'Mars/Olympus',
      billing_email: 'nope',
      max_users: 0,
      settings: { long: 'x'.repeat(17_000) },
      domain: 'no_host',
      colour: 'red',
    })
    expect(answer.status).toBe(422)
    expect(answer.body.errors.map((error: { pointer: string }) => error.pointer).sort()).toEqual(
      ['/name', '/slug', '/time_zone', '/billing_email', '/max_users', '/settings', '/domain', '/colour'].sort(),
    )
    expect((await post(stranger, { name: 'X', plan: 'gold' })).body.errors[0].pointer).toBe('/plan')
    expect((await post(stranger, { name: 'X', slug: 'one', subdomain: 'two' })).body.errors[0].pointer).toBe(
      '/subdomain',
    )
    for (const time_zone of ['+01:00', 'Europe', 'europe/../berlin', 'UTC; drop table', 'CET', 'ist', 'AET'])
      expect((await post(stranger, { name: 'X', time_zone })).status).toBe(422)
  })

  test('an abbreviation that is taken for a time zone has the same clocks in the database', async () => {
    const abbreviations = await asSuperuser<{ abbrev: string }>('select abbrev from pg_timezone_abbrevs')
    const taken = abbreviations.flatMap(({ abbrev }) => (isTimeZone(abbrev) ? [abbrev] : []))
    expect(taken).toContain('GMT')
    for (const zone of taken)
      for (const moment of ['2026-01-15T12:00:00Z', '2026-07-15T12:00:00Z'])
        expect(
          await asSuperuser(
            `select extract(epoch from $1::timestamptz at time zone $2 - $1::timestamptz at time zone 'UTC')::int * 1000 as offset`,
            [moment, zone],
          ),
          zone,
        ).toEqual([{ offset: offsetAt(Date.parse(moment), zone) }])
  })

  test('a time zone is spelled as the database spells it, however it was written', async () => {
    const known = await asSuperuser<{ name: string }>(
      "select name from pg_timezone_names where name !~ '^(posix|posixrules)'",
    )
    const names = known.map(({ name }) => name).filter(isTimeZone)
    expect(names).toEqual(expect.arrayContaining(['Asia/Kolkata', 'America/Port_of_Spain', 'US/Eastern']))
    expect(names.map((name) => spellTimeZone(name.toLowerCase()))).toEqual(names)
    expect(names.map((name) => spellTimeZone(name.toUpperCase()))).toEqual(names)
    expect(spellTimeZone('mars/olympus')).toBe('mars/olympus')
  })

  test('reserved slugs and look-alikes are refused, taken ones too, with others to choose from', async () => {
    for (const slug of ['operator', 'www', 'api', 'adm1n']) {
      const answer = await post(stranger, { name: 'Sly', slug })
      expect(answer.status).toBe(422)
      expect(answer.body.errors[0].pointer).toBe('/slug')
    }
    for (const slug of ['acrne', 'gl0bex']) expect((await post(stranger, { name: 'Sly', slug })).status).toBe(422)
    const taken = await post(stranger, { name: 'Acme', slug: 'acme' })
    expect(taken.status).toBe(409)
    expect(taken.body.suggestions).toContain('acme-hq')
    const free = await post(newUser('chooser'), { name: 'Acme', slug: taken.body.suggestions[0] })
    expect(free.status).toBe(201)
  })

  test('a user makes a tenant, owns it, and it is pending; the record says so', async () => {
    const user = newUser('founder')
    const answer = await post(user, {
      name: 'Über Größe & Co',
      timeZone: 'Europe/Berlin',
      billingEmail: 'pay@example.test',
    })
    expect(answer.status).toBe(201)
    expect(answer.body).toMatchObject({
      name: 'Über Größe & Co',
      slug: 'uber-grosse-co',
      status: 'pending',
      plan_id: 'free',
      time_zone: 'Europe/Berlin',
      billing_email: 'pay@example.test',
    })
    expect(answer.headers.get('location')).toBe(`/api/v1/tenants/${answer.body.id}`)
    const mine = await call(me, 'GET', '/api/v1/me', { as: user })
    expect(mine.body.tenants).toMatchObject([{ id: answer.body.id, role: 'owner', status: 'pending' }])
    expect(await auditOf(answer.body, 'tenant.created')).toMatchObject([
      { actor_kind: 'user', actor_id: user.id, after: { slug: 'uber-grosse-co' } },
    ])
    expect(await auditOf(answer.body, 'membership.created')).toMatchObject([
      { actor_id: user.id, after: { role: 'owner' } },
    ])
  })

  test('the same name again gets the next slug; names without Latin letters get one as well', async () => {
    const user = newUser('namesake')
    const slugs = []
    for (const name of ['Twin', 'Twin', 'Twin', '株式会社']) slugs.push((await post(user, { name })).body.slug)
    expect(slugs).toEqual(['twin', 'twin-2', 'twin-3', 'team'])
    expect([toSlug('  Ærø & Søn!  '), toSlug('a'), toSlug('x'.repeat(99)).length]).toEqual(['aero-son', 'team', 40])
  })

  test('what older systems send is understood, wishes are kept, a domain waits for its proof', async () => {
    const user = newUser('older')
    const answer = await call(createAlias, 'POST', '/api/v1/tenants/create', {
      as: user,
      body: {
        name: 'My Organization',
        slug: 'my-org',
        domain: 'myorg.example',
        subdomain: 'my-org',
        plan: 'starter',
        maxUsers: 1000,
        maxStorage: 100,
        features: { biometric_auth: true },
        settings: { custom_branding: true },
      },
    })
    expect(answer.status).toBe(201)
    expect(answer.body).toMatchObject({
      slug: 'my-org',
      plan_id: 'basic',
      metadata: {
        requested: {
          max_users: 1000,
          max_storage: 100,
          features: { biometric_auth: true },
          settings: { custom_branding: true },
        },
      },
    })
    const domains = await asSuperuser('select hostname, status from domains where tenant_id = $1', [answer.body.id])
    expect(domains).toEqual([{ hostname: 'myorg.example', status: 'pending' }])
    expect((await post(user, { name: 'Simple', slug: 'simple-org', plan: 'basic' })).status).toBe(201)
  })

  test('what is wrong with it is said under the name that was sent', async () => {
    const user = newUser('wrong-names')
    const pointers = async (body: object) =>
      (await post(user, { name: 'Wrong', ...body })).body.errors.map(({ pointer }: { pointer: string }) => pointer)
    expect(await pointers({ plan: 'no-such-plan' })).toEqual(['/plan'])
    expect(await pointers({ billing_plan: 'no-such-plan' })).toEqual(['/billing_plan'])
    expect(await pointers({ billingPlan: 5 })).toEqual(['/billingPlan'])
    expect(await pointers({ slug: 'acme' })).toEqual(['/slug'])
    expect(await pointers({ subdomain: 'acme' })).toEqual(['/subdomain'])
  })

  test('a user owns at most five', async () => {
    const user = newUser('collector')
    const tries = await Promise.all(
      Array.from({ length: 8 }, (_, n) => post(user, { name: `Collected ${n}`, slug: `collected-${n + 2}` })),
    )
    expect(tries.filter(({ status }) => status === 201)).toHaveLength(5)
    expect(tries.filter(({ status }) => status === 402)).toHaveLength(3)
    expect(tries.find(({ status }) => status === 402)?.body.code).toBe('plan_limit_reached')
  })

  test('one Idempotency-Key is one tenant, however often and at once it is sent', async () => {
    const user = newUser('patient')
    const headers = { 'idempotency-key': 'make-it-once' }
    const body = { name: 'Once Only', billing_email: 'once@example.test', domain: 'once.example.test' }
    const tries = await Promise.all(Array.from({ length: 6 }, () => post(user, body, headers)))
    const again = await post(user, body, headers)
    expect([...tries, again].map(({ status }) => status)).toEqual(Array(7).fill(201))
    expect(new Set([...tries, again].map(({ text }) => text)).size).toBe(1)
    expect(tries.filter((answer) => answer.headers.get('idempotent-replayed') !== 'true')).toHaveLength(1)
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect((await call(me, 'GET', '/api/v1/me', { as: user })).body.tenants).toHaveLength(1)
    for (const other of [{ name: 'Once Only' }, { ...body, description: 'More' }, { ...body, slug: 'once-only' }])
      expect((await post(user, other, headers)).body.code).toBe('idempotency_mismatch')
    expect((await post(newUser('other'), body, headers)).body.id).not.toBe(again.body.id)
    expect(JSON.stringify(await auditOf(again.body, 'tenant.created'))).not.toContain('request_hash')
    // It is the same request, whatever has become of the tenant.
    await tenantCall('PATCH', again.body.id, user, { name: 'Renamed since' })
    expect((await post(user, body, headers)).body).toMatchObject({ id: again.body.id, name: 'Renamed since' })
    await asSuperuser('delete from memberships where tenant_id = $1', [again.body.id])
    const gone = await post(user, body, headers)
    expect([gone.status, gone.text.includes('Renamed')]).toEqual([409, false])
  })

  test('users who choose the same name at the same moment get an address each', async () => {
    const tries = await Promise.all(Array.from({ length: 8 }, (_, n) => post(newUser(`n${n}`), { name: 'Rush Hour' })))
    expect(tries.map(({ status }) => status)).toEqual(Array(8).fill(201))
    expect(new Set(tries.map(({ body }) => body.slug)).size).toBe(8)
    const alike = await Promise.all(['lilly', '1illy', 'li1ly'].map((slug) => post(newUser('l'), { name: 'L', slug })))
    expect(alike.map(({ status }) => status).sort()).toEqual([201, 422, 422])
  })

  test('what cannot be made whole is not made at all', async () => {
    const user = newUser('interrupted')
    const body = { name: 'Half Done', slug: 'half-done', billing_email: 'half@example.test' }
    const headers = { 'idempotency-key': 'half-done' }
    // The last thing that is written, so that everything before it has been.
    await asSuperuser('alter table analytics_events rename to analytics_away')
    const { level } = log
    log.level = 'silent'
    const failed = await post(user, body, headers).finally(() =>
      asSuperuser('alter table analytics_away rename to analytics_events'),
    )
    log.level = level
    expect(failed.status).toBe(500)
    expect(await asSuperuser("select id from tenants where slug = 'half-done'")).toEqual([])
    expect((await call(me, 'GET', '/api/v1/me', { as: user })).body.tenants).toEqual([])
    const whole = await post(user, body, headers)
    expect([whole.status, whole.headers.get('idempotent-replayed')]).toEqual([201, null])
    expect(whole.body.billing_email).toBe('half@example.test')
  })
})

describe('read', () => {
  test('a stranger and a made-up tenant get the same bytes', async () => {
    const shape = (answer: { status: number; body: Record<string, unknown> }) =>
      JSON.stringify([answer.status, { ...answer.body, request_id: '' }])
    const foreign = await tenantCall('GET', globex.id, acme.users.owner)
    const nothing = await tenantCall('GET', '01934d5c-0000-7000-8000-00000000dead', acme.users.owner)
    const slug = await tenantCall('GET', 'globex', stranger)
    expect(foreign.status).toBe(404)
    expect(new Set([shape(foreign), shape(nothing), shape(slug)]).size).toBe(1)
  })

  test('a customer of the tenant does not read it', async () => {
    expect((await tenantCall('GET', acme.id, acme.users.customer)).status).toBe(403)
  })

  test('its people and keys read it by id, by slug and as current', async () => {
    for (const as of [acme.users.owner, acme.users.member, acme.users.compliance, acme.api_key]) {
      for (const id of [acme.id, acme.slug, acme.id.toUpperCase()]) {
        const answer = await tenantCall('GET', id, as)
        expect(answer.status).toBe(200)
        expect(answer.body).toMatchObject({ id: acme.id, slug: 'acme', plan_id: 'premium' })
        expect(answer.body).not.toHaveProperty('suspended_reason')
      }
    }
    expect((await tenantCall('GET', 'current', acme.api_key)).body.id).toBe(acme.id)
    expect((await tenantCall('GET', 'current', acme.users.owner)).status).toBe(400)
    const mismatch = await call(GET, 'GET', `/api/v1/tenants/${globex.id}`, {
      as: acme.api_key,
      params: { id: globex.id },
    })
    expect(mismatch.status).toBe(403)
    expect(mismatch.body.code).toBe('tenant_mismatch')
  })

  test('info is for everybody inside: plan, brand, own role', async () => {
    for (const route of [info, currentInfo]) {
      const answer = await call(route, 'GET', '/api/v1/tenant/info', {
        as: acme.users.member,
        headers: { 'x-tenant-slug': 'acme' },
      })
      expect(answer.body).toMatchObject({
        id: acme.id,
        role: 'member',
        plan: { id: 'premium', limits: { users: 1000 }, features: { custom_domain: true } },
        branding: { display_name: acme.name },
      })
    }
    const customer = await call(info, 'GET', '/api/v1/tenant/info', {
      as: acme.users.customer,
      host: 'acme.localhost:3000',
    })
    expect(customer.body.role).toBe('customer')
    expect((await call(info, 'GET', '/api/v1/tenant/info', { as: stranger, tenant: acme })).status).toBe(404)
    expect((await call(info, 'GET', '/api/v1/tenant/info', { tenant: acme })).status).toBe(401)
  })

  test('a user lists their own tenants and nobody else’s', async () => {
    expect((await call(list, 'GET', '/api/v1/tenants')).status).toBe(401)
    expect((await call(list, 'GET', '/api/v1/tenants?limit=0', { as: stranger })).status).toBe(422)
    expect((await call(list, 'GET', '/api/v1/tenants', { as: stranger })).body).toEqual({ data: [], next_cursor: null })
    const user = newUser('many')
    for (const name of ['Alpha Ltd', 'Beta Ltd', 'Gamma Ltd'])
      await post(user, { name, plan: name === 'Beta Ltd' ? 'starter' : 'free' })
    const names = async (query: string) =>
      (await call(list, 'GET', `/api/v1/tenants${query}`, { as: user })).body.data.map(
        (row: { name: string }) => row.name,
      )
    expect(await names('')).toEqual(['Gamma Ltd', 'Beta Ltd', 'Alpha Ltd'])
    expect(await names('?sort=name')).toEqual(['Alpha Ltd', 'Beta Ltd', 'Gamma Ltd'])
    expect(await names('?q=bet')).toEqual(['Beta Ltd'])
    expect(await names('?status=active')).toEqual([])
    for (const plan of ['basic', 'starter', 'Starter']) expect(await names(`?plan=${plan}`)).toEqual(['Beta Ltd'])
    expect(await names('?plan=pro')).toEqual([])
    const first = await call(list, 'GET', '/api/v1/tenants?limit=2&sort=name', { as: user })
    expect(first.body.next_cursor).not.toBeNull()
    expect(await names(`?limit=2&sort=name&cursor=${first.body.next_cursor}`)).toEqual(['Gamma Ltd'])
    for (const cursor of ['x', 'WyJ4Il0', first.body.next_cursor.slice(4)])
      expect((await call(list, 'GET', `/api/v1/tenants?cursor=${cursor}`, { as: user })).status).toBe(400)
    // The page goes on from where it was, though what stood there is gone.
    await tenantCall('DELETE', first.body.data[1].id, user)
    expect(await names(`?limit=2&sort=name&cursor=${first.body.next_cursor}`)).toEqual(['Gamma Ltd'])
  })
})

describe('change', () => {
  test('only who may write, and only what is theirs to write', async () => {
    expect((await tenantCall('PATCH', acme.id, globex.users.owner, { name: 'Taken' })).status).toBe(404)
    for (const role of ['member', 'compliance', 'customer'] as const)
      expect((await tenantCall('PATCH', acme.id, acme.users[role], { name: 'Taken' })).status).toBe(403)
    expect((await tenantCall('PATCH', acme.id, acme.api_key, { name: 'Taken' })).status).toBe(403)
    for (const body of [
      { plan: 'enterprise' },
      { status: 'active' },
      { slug: 'other' },
      { name: '' },
      { metadata: [] },
    ])
      expect((await tenantCall('PATCH', acme.id, acme.users.owner, body)).status).toBe(422)
  })

  test('an admin changes it, with PATCH and with PUT, and the record shows before and after', async () => {
    const changed = await tenantCall('PATCH', acme.id, acme.users.admin, {
      description: 'Anvils',
      timeZone: 'asia/tokyo',
    })
    expect(changed.body).toMatchObject({ description: 'Anvils', time_zone: 'Asia/Tokyo', name: acme.name })
    expect((await tenantCall('PATCH', acme.id, acme.users.admin, {})).body).toEqual(changed.body)
    const put = await tenantCall('PUT', acme.slug, acme.users.owner, { metadata: { camelCase: { kept: true } } })
    expect(put.body).toMatchObject({ description: 'Anvils', metadata: { camelCase: { kept: true } } })
    const [entry] = await auditOf(acme, 'tenant.updated')
    expect(entry).toMatchObject({
      actor_id: acme.users.admin.id,
      before: { description: '' },
      after: { description: 'Anvils' },
    })
  })
})

describe('delete', () => {
  test('an owner deletes softly; it answers nobody at once, and its slug stays taken', async () => {
    const gone: TestTenant = await createTenant('gone')
    expect((await tenantCall('DELETE', gone.id, stranger)).status).toBe(404)
    for (const role of ['admin', 'member'] as const)
      expect((await tenantCall('DELETE', gone.id, gone.users[role])).status).toBe(403)
    expect((await tenantCall('DELETE', gone.id, gone.api_key)).status).toBe(403)
    const answer = await tenantCall('DELETE', gone.id, gone.users.owner)
    expect(answer.status).toBe(200)
    expect(answer.body.status).toBe('deleted')
    expect(new Date(answer.body.purge_after).getTime() - Date.now()).toBeGreaterThan(29 * 86_400_000)
    expect((await tenantCall('GET', gone.id, gone.users.owner)).status).toBe(404)
    expect((await call(getMeters, 'GET', '/api/v1/meters', { as: gone.api_key })).status).toBe(404)
    expect((await call(me, 'GET', '/api/v1/me', { as: gone.users.owner })).body.tenants).toEqual([])
    expect((await post(stranger, { name: 'Gone', slug: 'gone' })).status).toBe(409)
    expect(await auditOf(gone, 'tenant.deleted')).toMatchObject([{ actor_kind: 'user', actor_id: gone.users.owner.id }])
  })
})

describe('explain', () => {
  const ask = (options: Parameters<typeof call>[3]) => call(explain, 'GET', '/api/v1/tenant/explain', options)

  test('says which sources were found and which one won', async () => {
    expect((await ask({ tenant: acme })).status).toBe(401)
    const answer = await ask({ as: acme.api_key, tenant: acme, host: 'acme.localhost:3000' })
    expect(answer.body).toEqual({
      sources: [
        { source: 'host', value: 'acme', resolved: true, won: true },
        { source: 'header', value: acme.id, resolved: true, won: false },
        { source: 'api_key', value: acme.id, resolved: true, won: false },
      ],
      tenant: { id: acme.id, slug: 'acme', name: acme.name },
      code: null,
    })
  })

  test('a foreign tenant looks like one that is not there', async () => {
    const strip = (body: { sources: { value: string }[] }) =>
      JSON.stringify({ ...body, sources: body.sources.map(({ value: _, ...rest }) => rest) })
    const foreign = await ask({ as: acme.users.owner, tenant: globex })
    const nothing = await ask({ as: acme.users.owner, tenant: '01934d5c-0000-7000-8000-00000000dead' })
    expect(foreign.body).toMatchObject({ tenant: null, code: 'not_found' })
    expect(strip(foreign.body)).toBe(strip(nothing.body))
    const two = await ask({ as: acme.api_key, tenant: globex })
    expect(two.body).toMatchObject({ tenant: null, code: 'tenant_mismatch' })
    expect((await ask({ as: acme.users.owner })).body).toEqual({ sources: [], tenant: null, code: 'bad_request' })
    expect((await ask({ as: operators.support, tenant: globex })).body.tenant.id).toBe(globex.id)
  })
})
