// Without a trusted proxy nobody chooses the address they are seen with: not in the record, not before the sign-in limits.
import { request as send } from 'node:http'
import { callApi, dashboard, expect, loginOf, tenantOf, test } from './fixtures'

const { host, port } = new URL(dashboard)

function signInAs(login: { email: string; password: string }, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = send(
      {
        host: '127.0.0.1',
        port,
        path: '/api/auth/sign-in',
        method: 'POST',
        setHost: false,
        headers: { host, origin: `http://${host}`, 'content-type': 'application/json', ...headers },
      },
      (response) => {
        response.resume()
        response.on('end', () => resolve(response.statusCode ?? 0))
      },
    )
    call.on('error', reject)
    call.end(JSON.stringify({ email: login.email, password: login.password }))
  })
}

test('a forged X-Forwarded-For is not believed', async () => {
  const status = await signInAs(loginOf('globex', 'owner'), {
    'x-forwarded-for': '203.0.113.7',
    'x-real-ip': '203.0.113.7',
    forwarded: 'for=203.0.113.7',
    'x-request-id': 'forged-address',
  })
  expect(status).toBe(200)
  const { body } = await callApi('/api/v1/audit-logs?action=user.signed_in&limit=1', {
    key: tenantOf('globex').api_key,
    base: `http://127.0.0.1:${port}`,
  })
  expect(body.data[0]).toMatchObject({ request_id: 'forged-address', ip: '127.0.0.1' })
})
