// The OpenAPI document, of which clients are generated: every operation has a name of its own and says how it can fail.
import { expect, test } from 'vitest'
import { z } from 'zod'
import { createOpenApi, operation } from '@/libs/api-utils/openapi'

const thing = z.object({ id: z.uuid() }).meta({ id: 'Thing' })
const document = createOpenApi(
  {
    '/api/v1/rate-limits/{id}/query': { get: operation({ summary: 'Get', tag: 'x', success: [200, thing] }) },
    '/api/v1/things': {
      post: operation({ summary: 'Make', tag: 'x', body: thing, success: [201, thing], orElse: [200, thing] }),
    },
  },
  '1.0.0',
  'http://localhost:3000',
)
const query = document.paths?.['/api/v1/rate-limits/{id}/query']?.get
const make = document.paths?.['/api/v1/things']?.post

test('operations are named after their method and path', () => {
  expect(query?.operationId).toBe('getRateLimitsByIdQuery')
  expect(make?.operationId).toBe('postThings')
})

test('both outcomes of a call are there, what stands against it, and whatever else goes wrong', () => {
  expect(Object.keys(make?.responses ?? {})).toEqual(
    expect.arrayContaining([
      '200',
      '201',
      '400',
      '401',
      '403',
      '404',
      '409',
      '413',
      '415',
      '422',
      '423',
      '503',
      'default',
    ]),
  )
  for (const status of ['409', '413', '415', '429']) expect(Object.keys(query?.responses ?? {})).not.toContain(status)
})

test('what can be asked for as a table says so, beside its JSON', () => {
  const both = operation({ summary: 'Get', tag: 'x', success: [200, thing], csv: true }).responses
  expect(both).toMatchObject({ '200': { content: { 'application/json': {}, 'text/csv': {} } } })
  expect(make?.responses?.['201']).not.toMatchObject({ content: { 'text/csv': {} } })
})

test('what only it refuses is there with the rest', () => {
  const { responses } = operation({
    summary: 'Sign in',
    tag: 'x',
    auth: 'public',
    success: [200, thing],
    refusals: { '401': 'Wrong' },
  })
  expect(responses?.['401']).toMatchObject({ description: 'Wrong', content: { 'application/problem+json': {} } })
})

test('a problem may carry members that its code brings', () => {
  expect(document.components?.schemas?.Problem).toMatchObject({ additionalProperties: {} })
})
