import { describe, expect, test } from 'vitest'
import { GET, PUT } from '@/app/api/v1/branding/route'
import { asSuperuser, call, createWorld } from '@/tests/support/world'

const { acme, globex, stranger } = await createWorld()
const path = '/api/v1/branding'
const put = (body: unknown, as = acme.users.owner) => call(PUT, 'PUT', path, { as, tenant: acme, body })

describe('branding', () => {
  test('a stranger and another tenant’s owner see nothing, a member may look but not change', async () => {
    expect((await call(GET, 'GET', path, { tenant: acme })).status).toBe(401)
    for (const as of [stranger, globex.users.owner])
      expect((await call(GET, 'GET', path, { as, tenant: acme })).status).toBe(404)
    expect((await call(GET, 'GET', path, { as: acme.users.member, tenant: acme })).status).toBe(200)
    expect((await put({ primary_color: '#000000' }, acme.users.member)).status).toBe(403)
  })

  test.each([
    [{}, ''],
    [{ primary_color: 'red' }, '/primary_color'],
    [{ primary_color: '#12345' }, '/primary_color'],
    [{ support_url: 'javascript:alert(1)' }, '/support_url'],
    [{ display_name: 'x'.repeat(121) }, '/display_name'],
    [{ logo: 'x' }, '/logo'],
  ])('refuses %j', async (body, pointer) => {
    const answer = await put(body)
    expect(answer.status).toBe(422)
    expect(answer.body.errors[0].pointer).toBe(pointer)
  })

  test('changes only the named fields, of one tenant, and says so in the audit log', async () => {
    const { status, body } = await put({ displayName: 'Acme Cloud', primaryColor: '#AA0033' })
    expect(status).toBe(200)
    expect(body).toMatchObject({ display_name: 'Acme Cloud', primary_color: '#aa0033', accent_color: '#0f766e' })
    expect((await call(GET, 'GET', path, { as: globex.users.owner, tenant: globex })).body.display_name).toBeNull()
    const rows = await asSuperuser(
      "select after from audit_logs join audit_details using (tenant_id, id) where action = 'branding.updated'",
    )
    expect(rows).toEqual([{ after: { display_name: 'Acme Cloud', primary_color: '#aa0033' } }])
  })
})
