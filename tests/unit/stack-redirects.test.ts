import { expect, test } from 'vitest'
import { isAllowedRedirect, redirectsBelow } from '../../processes/dev-stack/redirects'

const site = 'http://app.localhost:3000/auth/confirm'
const globs = ['http://*.localhost:3000/**', 'http://portal.acme.test:3000/**']

test.each([
  'http://app.localhost:3000/anything',
  'http://acme.localhost:3000/auth/confirm',
  'http://portal.acme.test:3000/auth/confirm',
])('a link in a mail may lead to %s', (target) => {
  expect(isAllowedRedirect(target, site, globs)).toBe(true)
})

test.each([
  'http://evil.example/auth/confirm',
  'http://evil.example/?http://acme.localhost:3000/',
  'http://acme.localhost:3000@evil.example/',
  'http://user:word@acme.localhost:3000/',
  'http://a.b.localhost:3000/',
  'http://acme.localhost:3001/auth/confirm',
  'http://acmexlocalhost:3000/',
  'https://acme.localhost:3000/',
  'javascript:alert(1)',
  '//evil.example',
  '/auth/confirm',
  '',
])('a link in a mail may not lead to %s', (target) => {
  expect(isAllowedRedirect(target, site, globs)).toBe(false)
})

test('behind a proxy that speaks https, a mail leads back to the portal it was asked for in', () => {
  const allows = (target: string) =>
    isAllowedRedirect(target, 'http://app.example.com/auth/confirm', redirectsBelow('example.com'))
  expect(allows('https://acme.example.com/auth/confirm')).toBe(true)
  expect(allows('http://acme.example.com/auth/confirm')).toBe(true)
  expect(allows('https://example.com.evil.example/auth/confirm')).toBe(false)
})
