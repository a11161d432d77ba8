// One canonicaliser for every host: whatever a client writes, it means one tenant, or nobody.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalHost, isInternalHeader, readHost, readTenantPath } from '@/libs/tenancy/host'
import { isDecodable, routeRequest } from '@/libs/tenancy/route-request'

const ROOT = 'holdfast.example'
const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/)
const slug = label.filter((text) => !['www', 'app'].includes(text))
const port = fc.integer({ min: 1, max: 65_535 })

/** The same host as different clients may write it. */
const spellings = (host: string) =>
  fc.record({ upper: fc.func(fc.boolean()), dot: fc.boolean(), port: fc.option(port) }).map(({ upper, dot, port }) => {
    const cased = [...host].map((letter, index) => (upper(index) ? letter.toUpperCase() : letter)).join('')
    return `${cased}${dot ? '.' : ''}${port === null ? '' : `:${port}`}`
  })

describe('canonicalHost', () => {
  test('case, port and trailing dot make no difference', () => {
    fc.assert(
      fc.property(
        fc.array(label, { minLength: 1, maxLength: 4 }).chain((labels) => {
          const host = labels.join('.')
          return spellings(host).map((spelled) => ({ host, spelled }))
        }),
        ({ host, spelled }) => canonicalHost(spelled) === host,
      ),
    )
  })

  test('is stable: the canonical form of a canonical form is itself, and always a plain host name', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.domain(), fc.webAuthority()), (text) => {
        const host = canonicalHost(text)
        if (host === null) return true
        return canonicalHost(host) === host && /^([a-z0-9.-]{1,253}|\[[0-9a-f:.]+\])$/.test(host)
      }),
      { numRuns: 2_000 },
    )
  })

  test.each([
    ['bücher.example', 'xn--bcher-kva.example'],
    ['BÜCHER.example:8080', 'xn--bcher-kva.example'],
    ['xn--bcher-kva.example.', 'xn--bcher-kva.example'],
    ['acme。holdfast.example', 'acme.holdfast.example'],
    ['127.0.0.1:3000', '127.0.0.1'],
    ['[::1]:3000', '[::1]'],
    ['[2001:DB8::1]', '[2001:db8::1]'],
    [`${'a'.repeat(63)}.example`, `${'a'.repeat(63)}.example`],
  ])('%s is %s', (written, canonical) => expect(canonicalHost(written)).toBe(canonical))

  test.each([
    ...[
      null,
      undefined,
      '',
      '.',
      '..',
      'a..b',
      '.a',
      'a b',
      ' a',
      'a\t',
      'a\n',
      'a\0b',
      'a/b',
      'a\\b',
      'user@a',
      'a?b',
      'a#b',
    ],
    ...[
      'a%2eb',
      'a:',
      'a:x',
      'a:123456',
      'a:99999',
      'a:1:2',
      '-a.b',
      'a-.b',
      'a_b.c',
      '[::1',
      '::1',
      '[x]',
      'a,b',
      'a;b',
      '<a>',
    ],
    ...[`${'a'.repeat(64)}.example`, `${'a.'.repeat(127)}example`, 'a'.repeat(301), '\u202Ea.b', '\uD800.b'],
  ])('%j is no host name', (written) => expect(canonicalHost(written)).toBeNull())
})

describe('readHost', () => {
  test('a tenant is addressed by its own label directly below the root, in any spelling', () => {
    fc.assert(
      fc.property(
        slug.chain((name) => spellings(`${name}.${ROOT}`).map((spelled) => ({ name, spelled }))),
        ({ name, spelled }) => {
          expect(readHost(spelled, ROOT)).toEqual({ kind: 'tenant', slug: name })
          expect(readHost(`www.${spelled}`, ROOT)).toEqual({ kind: 'tenant', slug: name })
        },
      ),
    )
  })

  test('what only resembles the root is somebody else’s domain, never a tenant', () => {
    fc.assert(
      fc.property(slug, label, (name, other) => {
        for (const host of [`${name}${ROOT}`, `${name}.${ROOT}.${other}.test`, `${name}.x${ROOT}`])
          expect(readHost(host, ROOT).kind).toBe('custom')
      }),
    )
  })

  test.each([
    [ROOT, 'root'],
    [`www.${ROOT}`, 'root'],
    [`app.${ROOT}`, 'app'],
    [`APP.${ROOT}.:443`, 'app'],
    [`a.b.${ROOT}`, 'unknown'],
    [`www.a.b.${ROOT}`, 'unknown'],
    ['portal.acme.test', 'custom'],
    ['localhost', 'unknown'],
    ['intranet', 'unknown'],
    ['203.0.113.7', 'root'],
    ['[::1]:3000', 'root'],
    ['', 'unknown'],
    ['acme holdfast.example', 'unknown'],
  ])('%s is %s', (host, kind) => expect(readHost(host, ROOT).kind).toBe(kind))

  test('the port of the root domain in development plays no part', () => {
    expect(readHost('acme.localhost:3000', 'localhost:3000')).toEqual({ kind: 'tenant', slug: 'acme' })
    expect(readHost('acme.localhost:4123', 'localhost:3000')).toEqual({ kind: 'tenant', slug: 'acme' })
    expect(readHost('localhost:3000', 'localhost:3000').kind).toBe('root')
  })

  test('with subdomains switched off no label is a tenant', () => {
    expect(readHost(`acme.${ROOT}`, ROOT, false).kind).toBe('unknown')
    expect(readHost(`app.${ROOT}`, ROOT, false).kind).toBe('app')
  })

  test('never throws, whatever is sent', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        readHost(text, ROOT)
        readHost(`${text}.${ROOT}`, ROOT)
      }),
    )
  })
})

describe('readTenantPath', () => {
  test.each([
    ['/api/v1/tenants/acme/meters', 'acme', '/api/v1/meters'],
    ['/api/v1/tenants/ACME/usage/daily', 'acme', '/api/v1/usage/daily'],
    ['/api/v1/tenants/current/info', 'current', '/api/v1/tenant/info'],
    ['/api/v1/tenants/acme/info', 'acme', '/api/v1/tenant/info'],
    ['/api/v1/tenants/%E0%A4%A/x', '-', '/api/v1/x'],
    ['/api/v1/tenants/acme/tenants', 'acme', '/api/v1/-'],
    ['/api/v1/tenants/acme/tenants/globex', 'acme', '/api/v1/-'],
    ['/api/v1/tenants/acme/tenants/globex/suspend', 'acme', '/api/v1/-'],
    ['/api/v1/tenants/acme/tenants-of-mine', 'acme', '/api/v1/tenants-of-mine'],
    [
      '/api/v1/tenants/01934d5c-0000-7000-8000-000000000001/tiers',
      '01934d5c-0000-7000-8000-000000000001',
      '/api/v1/tiers',
    ],
  ])('%s names %s', (path, tenant, pathname) => expect(readTenantPath(path)).toEqual({ tenant, pathname }))

  test.each([
    '/api/v1/tenants',
    '/api/v1/tenants/acme',
    '/api/v1/tenants/acme/suspend',
    '/api/v1/tenants//x',
    '/api/v1/meters',
    '/tenants/acme/x',
  ])('%s names none', (path) => expect(readTenantPath(path)).toBeNull())
})

test('whatever a path names can be handed on in a header, and means nobody when it is no name', () => {
  const headers = new Headers()
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), fc.boolean(), (text, encoded) => {
      const segment = encoded && text.isWellFormed() ? encodeURIComponent(text) : text.replaceAll('/', '')
      const path = readTenantPath(`/api/v1/tenants/${segment}/meters`)
      if (path) headers.set('x-internal-tenant-path', path.tenant)
    }),
  )
})

describe('isInternalHeader', () => {
  const publicNames = ['x-tenant-id', 'x-tenant-slug']

  test.each([
    'x-tenant',
    'X-Tenant-Role',
    'x-internal-tenant-path',
    'X-Internal-Secret',
    'x-middleware-subrequest',
    'x-middleware-rewrite',
    'next-resume',
    'x-nonce',
  ])('%s never comes in from outside', (name) => expect(isInternalHeader(name, publicNames)).toBe(true))
  test.each(['x-tenant-id', 'X-Tenant-Slug', 'host', 'cookie', 'authorization', 'x-request-id', 'x-api-key'])(
    '%s does',
    (name) => expect(isInternalHeader(name, publicNames)).toBe(false),
  )
})

describe('routeRequest', () => {
  const settings = { rootDomain: ROOT, subdomains: true }
  const route = (host: string | null, pathname: string) => routeRequest({ host, pathname }, settings)

  test('a portal page is reached under its own host alone', () => {
    expect(route(`acme.${ROOT}`, '/')).toMatchObject({ action: 'rewrite', pathname: '/portal/acme' })
    expect(route('portal.acme.test', '/sign-in')).toMatchObject({ pathname: '/portal/portal.acme.test/sign-in' })
    expect(route(`app.${ROOT}`, '/portal/acme')).toMatchObject({ action: 'rewrite', pathname: '/portal/-' })
    expect(route(`globex.${ROOT}`, '/portal/acme')).toMatchObject({ pathname: '/portal/globex/portal/acme' })
  })

  test('clients of other products find their way on every host that is somebody’s', () => {
    for (const host of [`app.${ROOT}`, ROOT, `acme.${ROOT}`, 'portal.acme.test', '127.0.0.1:3001'])
      expect(route(host, '/compat/unkey/v2/keys.verifyKey')).toEqual({ action: 'pass', page: false })
    expect(route(`a.b.${ROOT}`, '/compat/unkey/v2/keys.verifyKey')).toEqual({ action: 'not_found' })
    expect(route(`app.${ROOT}`, '/compat')).toMatchObject({ page: true })
  })

  test('no path on a portal host leads to dashboard or console', () => {
    fc.assert(
      fc.property(slug, fc.webPath(), (name, path) => {
        fc.pre(!/^\/(?:api|compat|_next)\//.test(path) && !/^\/(?:healthz|readyz|auth\/confirm)$/.test(path))
        const found = route(`${name}.${ROOT}`, path || '/')
        if (isDecodable(path)) {
          expect(found).toMatchObject({ action: 'rewrite' })
          expect((found as { pathname: string }).pathname.startsWith(`/portal/${name}`)).toBe(true)
        } else expect(found).toEqual({ action: 'not_found' })
      }),
    )
  })

  test('a probe is its very name; what only begins so is a page like others', () => {
    for (const probe of ['/healthz', '/readyz']) {
      expect(route(`acme.${ROOT}`, probe)).toEqual({ action: 'pass', page: false })
      for (const path of [`${probe}ero`, `${probe}ero/meters`, `${probe}/x`, `${probe}%2fx`]) {
        expect(route(`app.${ROOT}`, path)).toEqual({ action: 'pass', page: true })
        expect(route(`acme.${ROOT}`, path)).toMatchObject({ action: 'rewrite', pathname: `/portal/acme${path}` })
        expect(route(`a.b.${ROOT}`, path)).toMatchObject({ pathname: '/portal/-' })
      }
    }
  })

  test('files that are not there are answered with a page, which has its policy', () => {
    for (const host of [ROOT, `app.${ROOT}`, `acme.${ROOT}`, `a.b.${ROOT}`, null]) {
      expect(route(host, '/_next/nothing')).toEqual({ action: 'pass', page: true })
      for (const path of ['/favicon.ico', '/robots.txt'])
        expect(route(host, path)).toEqual({ action: 'rewrite', page: true, pathname: '/portal/-' })
    }
  })

  test('the page of last resort has no address', () => {
    for (const path of ['/sitemap.xml', '/manifest.webmanifest', '/.well-known/security.txt', '/acme.json/x'])
      expect(route(`app.${ROOT}`, path)).toMatchObject({ action: 'rewrite', pathname: '/portal/-' })
    expect(route(`app.${ROOT}`, '/acme/customers/a.b')).toEqual({ action: 'pass', page: true })
    for (const path of ['/_global-error', '/_global-error.rsc', '/_global-error/'])
      for (const host of [`app.${ROOT}`, `a.b.${ROOT}`])
        expect(route(host, path)).toMatchObject({ action: 'rewrite', pathname: '/portal/-' })
  })

  test('hosts that are nobody’s get a 404, the bare root its dashboard address', () => {
    expect(route('a.b.c.holdfast.example', '/api/v1/meters')).toEqual({ action: 'not_found' })
    expect(route(null, '/')).toMatchObject({ action: 'rewrite', pathname: '/portal/-' })
    expect(route(ROOT, '/pricing')).toEqual({ action: 'redirect', host: `app.${ROOT}` })
    expect(route('anything', '/healthz')).toMatchObject({ action: 'pass' })
  })
})
