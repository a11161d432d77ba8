// What every answer carries, and what never comes out, at the edge of the running product.
import { createServer, request as send } from 'node:http'
import { sendRaw } from '../support/raw-http'
import { dashboard, demo, expect, fillSignIn, loginOf, portalOf, signIn, tenantOf, test } from './fixtures'

const { port } = new URL(dashboard)

test.use({ refusals: [401, 403, 404], blocked: /form-action/ })

type Raw = { status: number; headers: Record<string, string | string[] | undefined>; body: string }

/** A request to the server itself, with whatever Host and path; names below localhost need no resolver this way. */
function ask(
  host: string,
  path: string,
  {
    method = 'GET',
    headers = {},
    body = '',
  }: { method?: string; headers?: Record<string, string | string[] | undefined>; body?: string } = {},
): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const call = send(
      { host: '127.0.0.1', port, path, method, headers: { host, ...headers }, setHost: false },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk) => {
          text += chunk
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }))
      },
    )
    call.on('error', reject)
    call.end(body)
  })
}
const app = `app.localhost:${port}`

test('pages carry a strict policy with a nonce of their own, and the other headers', async () => {
  const policies = new Set<string>()
  for (const [host, path] of [
    [app, '/'],
    [app, '/sign-in'],
    [`acme.localhost:${port}`, '/sign-in'],
  ] as const) {
    const { status, headers, body } = await ask(host, path)
    expect([path, status]).toEqual([path, 200])
    const policy = String(headers['content-security-policy'])
    policies.add(policy)
    const nonce = /'nonce-([^']+)'/.exec(policy)?.[1]
    expect(nonce).toBeTruthy()
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).toContain("base-uri 'none'")
    expect(/script-src [^;]*/.exec(policy)?.[0]).not.toMatch(/unsafe-inline|unsafe-eval|\*|https?:/)
    for (const script of body.matchAll(/<script\b[^>]*>/g)) expect(script[0]).toContain(`nonce="${nonce}"`)
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': expect.stringMatching(/origin|no-referrer/),
      'cross-origin-opener-policy': 'same-origin',
      'permissions-policy': expect.stringContaining('camera=()'),
    })
    expect(headers['x-powered-by']).toBeUndefined()
  }
  expect(policies.size).toBe(3)
})

test('only the host of the platform has a start page to go to from a page that is not there', async () => {
  for (const [host, starts] of [
    [app, 1],
    [`nobody-at-all.localhost:${port}`, 0],
    ['unknown.test', 0],
  ] as const) {
    const { status, body } = await ask(host, '/nothing/is/here')
    expect([host, status, body.match(/<a\b[^>]*href="\/"[^>]*>Go to the start page/g)?.length ?? 0]).toEqual([
      host,
      404,
      starts,
    ])
  }
})

test('the API redirects nobody: a slash at the end says nothing, an empty part leads nowhere, a host of nobody is told so', async () => {
  const key = tenantOf('acme').api_key
  const post = (host: string, path: string) =>
    ask(host, path, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: '{"meter_id":"api_calls","user_id":"u","amount":0}',
    })
  for (const path of ['/api/v1/usage/check/', '/api/v1/usage/check/?x=1', '/api/v1/tenants/acme/usage/check/'])
    expect([path, (await post(app, path)).status]).toEqual([path, 200])
  for (const [host, path, status] of [
    [app, '/api//v1/usage/check', 404],
    [app, '/api/v1/usage/check//', 404],
    [app, '/api/v1/tenants/globex/tenants', 404],
    [app, '/api/v1/tenants/globex/tenants/acme/suspend', 404],
    [app, '/api/v1\\usage', 400],
    ['a.b.localhost', '/api/v1/meters', 404],
  ] as const) {
    const { headers, body, ...answer } = await post(host, path)
    expect([path, answer.status, headers['content-type']]).toEqual([path, status, 'application/problem+json'])
    expect(JSON.parse(body)).toMatchObject({ status, request_id: headers['x-request-id'] })
    expect(JSON.parse(body).type).toContain('/docs/errors#')
  }
})

test('whatever is answered carries the headers: files, redirects, and pages of what is not there', async () => {
  const script = /\/_next\/static\/[^"\\]+\.js/.exec((await ask(app, '/sign-in')).body)?.[0] ?? ''
  for (const [path, status] of [
    [script, 200],
    [`${script}.map`, 404],
    ['/icon.svg', 200],
    ['/acme/', 308],
    ['/_next/image', 404],
    ['/_next/nothing', 404],
    ['/favicon.ico', 404],
    ['/healthzero', 307],
    ['/compat/nothing', 404],
    ['/compat/unkey/nothing', 404],
    ['/_global-error', 404],
  ] as const) {
    const { headers, ...answer } = await ask(app, path)
    expect([path, answer.status]).toEqual([path, status])
    expect([path, headers['x-content-type-options'], headers['x-frame-options']]).toEqual([path, 'nosniff', 'DENY'])
    const isPage = /^text\/html/.test(String(headers['content-type']))
    if (isPage) expect([path, headers['content-security-policy']]).toEqual([path, expect.stringContaining('nonce-')])
    if (path.startsWith('/compat/')) expect(headers['content-type']).toBe('application/problem+json')
  }
})

test('so many cookies or parameters that they would keep the server busy are refused, what browsers send is not', async () => {
  const list = (count: number, sign: string) => Array.from({ length: count }, (_, n) => `a${n}=1`).join(sign)
  for (const [count, status] of [
    [300, 200],
    [301, 431],
    [3_000, 431],
  ] as const)
    expect([count, (await ask(app, '/healthz', { headers: { cookie: list(count, '; ') } })).status]).toEqual([
      count,
      status,
    ])
  for (const [count, status] of [
    [1_000, 200],
    [1_001, 400],
    [3_000, 400],
  ] as const) {
    const answer = await ask(app, `/healthz?${list(count, '&')}`)
    expect([count, answer.status]).toEqual([count, status])
    if (status === 400) expect(answer.headers['content-type']).toBe('application/problem+json')
  }
})

test('usage routes answer with the same headers, by the middleware (with a cookie) and past it', async () => {
  const usual = ['x-content-type-options', 'x-frame-options', 'referrer-policy', 'permissions-policy', 'cache-control']
  const answers: unknown[] = []
  for (const cookie of [{}, { cookie: 'a=b' }]) {
    const { status, headers } = await ask(app, '/api/v1/usage/check', {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...cookie },
      body: '{"meter_id":"api_calls","user_id":"u"}',
    })
    expect(status).toBe(401)
    for (const name of usual) expect([name, headers[name]]).toEqual([name, expect.any(String)])
    answers.push(usual.map((name) => headers[name]))
  }
  expect(answers[0]).toEqual(answers[1])
})

test('whatever the path or host, the answer is no 5xx and no stack', async () => {
  const hosts = [
    app,
    `acme.localhost:${port}`,
    `localhost:${port}`,
    'portal.acme.test',
    'evil.test',
    'a.b.c.localhost',
    '127.0.0.1',
  ]
  const paths = [
    '/api/v1/tenants/%F0%9F%92%A5/meters',
    '/api/v1/tenants/%00/meters',
    '/api/v1/tenants/%20/meters',
    '/api/v1/tenants/%E0%A4%A/meters',
    '/api/v1/tenants/..%2F..%2Fx/meters',
    '/api/v1/meters/%00',
    '/api/v1/nothing',
    '/%00',
    '/%E0%A4%A',
    '/%F0%9F%92%A5',
    '/portal/acme',
    '/portal/-',
    '//evil.test/',
    '/..%2f..%2fetc/passwd',
    '/_next/image?url=%2Ficon.svg&w=64&q=75',
    '/_next/data/x/index.json',
    `/${'a'.repeat(4_000)}`,
    '/sign-in?next=%00',
    '/auth/confirm?token_hash=%00&type=recovery',
    '/auth/confirm?token_hash=abcdefgh&type=signup&next=https://evil.test',
    '/acme/audit-logs?cursor=%00&limit=-1',
  ]
  const wrong: string[] = []
  for (const host of hosts)
    for (const path of paths) {
      const { status, body, headers } = await ask(host, path)
      if (status >= 500 || /node_modules|at \w+ \(|\.ts:\d+/.test(body))
        wrong.push(`${status} ${host}${path.slice(0, 80)}`)
      const target = headers.location ? new URL(String(headers.location), `http://${host}`) : null
      if (target && host !== 'evil.test' && /evil/.test(target.host)) wrong.push(`→ ${target.href} from ${host}${path}`)
    }
  expect(wrong).toEqual([])
})

test('what a client of the API gets wrong is told to it in a problem document', async () => {
  const authorization = `Bearer ${tenantOf('acme').api_key}`
  const problem = async (path: string, options: Parameters<typeof ask>[2]) => {
    const { status, headers, body } = await ask(`localhost:${port}`, path, options)
    expect([path, headers['content-type']]).toEqual([path, 'application/problem+json'])
    expect(JSON.parse(body)).toMatchObject({ status, code: expect.any(String), request_id: expect.any(String) })
    return { status, allow: headers.allow }
  }
  for (const method of ['PUT', 'DELETE'])
    expect(await problem('/api/v1/meters', { method, headers: { authorization } })).toEqual({
      status: 405,
      allow: 'GET, HEAD, OPTIONS, POST',
    })
  expect(await problem('/api/v1/meters', { method: 'TRACE' })).toMatchObject({ status: 405 })
  expect(await problem('/api/v1/meters', { headers: { rsc: '1' } })).toMatchObject({ status: 401 })
  expect(await problem('/api/v1/nothing', { headers: { authorization } })).toMatchObject({ status: 404 })
  expect(await problem('/api/v1/meters/%ff', { headers: { authorization } })).toMatchObject({ status: 400 })
})

test('nor does it learn where its path leads inside, at whatever length', async () => {
  const authorization = `Bearer ${tenantOf('acme').api_key}`
  for (const method of ['GET', 'DELETE']) {
    const path = `/api/v1/tenants/current/meters${method === 'GET' ? `?limit=1&tenant=${'x'.repeat(9_000)}` : ''}`
    const { status, headers } = await ask(`localhost:${port}`, path, { method, headers: { authorization } })
    expect(status).toBeGreaterThanOrEqual(200)
    expect(headers).not.toHaveProperty('x-middleware-rewrite')
  }
})

test('what is hardly HTTP is answered as well, and so is what is only unusual', async () => {
  const host = `host: localhost:${port}\r\n`
  for (const [status, bytes] of [
    [400, `FOO / HTTP/1.1\r\n${host}\r\n`],
    [400, 'GET / HTTP/1.1\r\nconnection: close\r\n\r\n'],
    [400, `OPTIONS * HTTP/1.1\r\n${host}connection: close\r\n\r\n`],
    [405, 'CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n'],
    [431, `GET / HTTP/1.1\r\n${host}x: ${'x'.repeat(60_000)}\r\n\r\n`],
  ] as const) {
    const answer = await sendRaw(Number(port), bytes)
    expect([bytes.slice(0, 40), answer.statuses, answer.headers['content-type']]).toEqual([
      bytes.slice(0, 40),
      [status],
      'application/problem+json',
    ])
  }
  for (const bytes of [
    `GET /healthz HTTP/1.1\r\n${host}connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n`,
    `GET http://localhost:${port}/healthz HTTP/1.1\r\n${host}\r\n`,
    'GET /healthz HTTP/1.0\r\n\r\n',
  ])
    expect([bytes, (await sendRaw(Number(port), bytes, { answers: 1 })).statuses]).toEqual([bytes, [200]])
})

test('a request answered before its end leaves its connection to the next one', async () => {
  const { api_key: key } = tenantOf('acme')
  const block = `10000\r\n${' '.repeat(65_536)}\r\n`
  const answer = await sendRaw(
    Number(port),
    [
      `POST /api/v1/usage/track HTTP/1.1\r\nhost: localhost:${port}\r\nauthorization: Bearer ${key}\r\n` +
        `content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${block.repeat(32)}0\r\n\r\n`,
      `GET /healthz HTTP/1.1\r\nhost: localhost:${port}\r\n\r\n`,
    ],
    { pause: 500, answers: 2 },
  )
  expect(answer.statuses).toEqual([413, 200])
})

test('of two credentials none is taken', async () => {
  const [own, other] = ['acme', 'globex'].map((slug) => `Bearer ${tenantOf(slug).api_key}`)
  const { status } = await ask(app, '/api/v1/meters', { headers: { authorization: [own ?? '', other ?? ''] } })
  expect(status).toBe(401)
})

test('headers that only we may set change nothing', async () => {
  const { id } = tenantOf('acme')
  const plain = await ask(app, '/api/v1/meters', { headers: { authorization: `Bearer ${tenantOf('globex').api_key}` } })
  expect(plain.status).toBe(200)
  for (const name of [
    'x-internal-tenant-path',
    'x-tenant',
    'x-middleware-rewrite',
    'x-middleware-subrequest',
    'x-nonce',
    'next-resume',
  ]) {
    const answer = await ask(app, '/api/v1/meters', {
      headers: {
        authorization: `Bearer ${tenantOf('globex').api_key}`,
        [name]: name === 'x-middleware-subrequest' ? 'middleware:middleware:middleware:middleware:middleware' : id,
      },
    })
    expect([name, answer.status, answer.body]).toEqual([name, 200, plain.body])
  }
})

test('the image optimiser answers nobody', async () => {
  for (const host of [app, `acme.localhost:${port}`])
    expect((await ask(host, '/_next/image?url=%2Fa.png&w=64&q=75')).status).toBe(404)
})

test('a portal host serves neither dashboard nor console', async () => {
  for (const path of ['/acme', '/acme/meters', '/operator', '/tenants', '/portal/globex'])
    expect([path, (await ask(`acme.localhost:${port}`, path)).status]).toEqual([path, 404])
})

test('the session cookie is out of reach of scripts and of sibling hosts', async ({ page }) => {
  await signIn(page, loginOf('acme', 'owner'))
  const cookies = await page.context().cookies()
  const session = cookies.filter(({ name }) => name.includes('hf-session'))
  expect(session.length).toBeGreaterThan(0)
  for (const { httpOnly, sameSite, domain, path } of session)
    expect({ httpOnly, sameSite, domain, path }).toEqual({
      httpOnly: true,
      sameSite: 'Lax',
      domain: 'app.localhost',
      path: '/',
    })
  await page.goto(`${dashboard}/tenants`)
  expect(await page.evaluate(() => document.cookie)).not.toContain('hf-session')
})

test('what is sent before a page is alive stays in its fields, and does not stand in its address', async ({
  browser,
}) => {
  const context = await browser.newContext({ javaScriptEnabled: false })
  const page = await context.newPage()
  const address = `${dashboard}/sign-in?next=%2Facme`
  await page.goto(address)
  const login = loginOf('acme', 'owner')
  const left: string[] = []
  page.on('request', (request) => request.isNavigationRequest() && left.push(request.url()))
  await fillSignIn(page, login)
  await page.getByLabel('Password', { exact: true }).press('Enter')
  await expect(page.getByLabel('Password', { exact: true })).toHaveValue(login.password)
  await expect(page.getByRole('textbox', { name: 'E-mail', exact: true })).toHaveValue(login.email)
  await expect(page).toHaveURL(address)
  expect(left).toEqual([])
  await context.close()
})

test('a page of a sibling tenant, or of a stranger, cannot act in a session', async ({ page }) => {
  await signIn(page, loginOf('acme', 'owner'))
  const stranger = createServer((_request, response) =>
    response.setHeader('content-type', 'text/html').end('<p>hello</p>'),
  )
  await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve))
  const address = stranger.address()
  if (!address || typeof address === 'string') throw new Error('no address')
  for (const origin of [portalOf('globex'), `http://127.0.0.1:${address.port}`]) {
    await page.goto(origin)
    // A form needs no CORS; it is the way cross-site requests carry cookies.
    const outcome = Promise.race([
      page.waitForEvent('console', (message) => /form-action/.test(message.text())).then(() => 'stopped by the policy'),
      page.waitForResponse(`${dashboard}/api/v1/tenants/acme/meters`).then((response) => response.status()),
    ])
    await page
      .evaluate((url) => {
        const form = document.createElement('form')
        form.method = 'post'
        form.enctype = 'text/plain'
        form.action = url
        document.body.append(form)
        form.submit()
      }, `${dashboard}/api/v1/tenants/acme/meters`)
      .catch(() => undefined)
    // The browser's policy stops the form of a portal; that of a stranger the server refuses.
    expect(origin === portalOf('globex') ? ['stopped by the policy'] : [401, 403]).toContain(await outcome)
  }
  await new Promise((resolve) => stranger.close(resolve))
})

test('probes answer, on every host', async () => {
  for (const host of [app, `acme.localhost:${port}`, 'unknown.test']) {
    expect((await ask(host, '/healthz')).status).toBe(200)
    expect((await ask(host, '/readyz')).status).toBe(200)
  }
  expect((await fetch(`${demo.urls.ingest}/healthz`)).status).toBe(200)
})
