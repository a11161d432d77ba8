// Every call of the API reference as it can be copied there, in the order in which somebody would try them: it works, or says
// that the one thing it invented is not there. What is answered is what the document says: status, media type and each member.
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { z } from 'zod'
import {
  exampleOf,
  type ListedOperation,
  listOperations,
  readDocument,
} from '@/app/(platform)/docs/api/openapi-document'
import { GET as readOpenApi } from '@/app/api/openapi.json/route'
import { forgetEnv } from '@/libs/env'
import { readRoutes } from '../support/routes'
import { type Answer, call, createWorld } from '../support/world'

process.env.ENCRYPTION_KEYS = randomBytes(32).toString('base64')
forgetEnv()
const { acme, operators } = await createWorld()
const { routes } = await readRoutes()
const document = readDocument(await (await readOpenApi(new Request('http://localhost:3000/api/openapi.json'))).json())
const operations = listOperations(document).flatMap((group) => group.operations)

/** What others need is made first, what takes away comes last. */
const FIRST = [
  ...['meters', 'customers', 'tiers', 'features', 'usage/track'].map((name) => `post /api/v1/${name}`),
  'put /api/v1/customers/{id}/subscription',
]
const nameOf = ({ method, path }: ListedOperation): string => `${method} ${path}`
const rank = (one: ListedOperation): number => {
  const place = FIRST.indexOf(nameOf(one))
  return one.method === 'delete' ? FIRST.length + 1 : place < 0 ? FIRST.length : place
}
const inOrder = operations
  // Signing in is with the auth server, and who has no tenant yet is not here.
  .filter(({ path }) => !path.startsWith('/api/auth/') && !path.startsWith('/api/v1/tenants/{id}'))
  .sort((a, b) => rank(a) - rank(b))

/** An id nobody has and a token of no mail, as the reference shows them where only the caller can know. */
const INVENTED = /0198c0de-0000-7000-8000-000000000001|theTokenInTheLink/
/** What is refused for a good reason when everything is tried in a row, and why. */
const REFUSED: Record<string, number> = {
  // Nothing was used before that day here.
  'post /api/v1/billing-periods': 422,
  // What a body names, and nobody has, is wrong input.
  'post /api/v1/customer-logins': 422,
  // A customer has it by then.
  'delete /api/v1/tiers/{id}': 409,
}

function callerOf({ path }: ListedOperation) {
  if (path.startsWith('/api/v1/portal/')) return { as: acme.users.customer, host: 'acme.localhost:3000' }
  if (path === '/api/v1/tenants/stats') return { as: operators.super_admin }
  if (path.startsWith('/api/v1/tenants') && path !== '/api/v1/tenants/current/info') return { as: acme.users.owner }
  return { as: acme.users.owner, tenant: acme }
}

async function tryExample(operation: ListedOperation): Promise<{ answer: Answer; sent: string }> {
  const { method, path, parameters, body, example } = operation
  const route = routes.find(({ name }) => name === `${method.toUpperCase()} ${path}`)
  if (!route) throw new Error(`${nameOf(operation)} is no route.`)
  const exampleFor = (kind: string) =>
    parameters
      .filter((one) => one.in === kind && one.required)
      .map(({ name, schema = {} }) => [name, String(exampleOf(document, schema))] as const)
  const params = Object.fromEntries(exampleFor('path'))
  const address = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ''))
  const query = new URLSearchParams(exampleFor('query').map((pair) => [...pair])).toString()
  const answer = await call(route.handler, route.method, `${address}${query ? `?${query}` : ''}`, {
    ...callerOf(operation),
    params,
    ...(body ? { body: example } : {}),
  })
  return { answer, sent: `${address} ${JSON.stringify(example)}` }
}

/** The schema of an answer as the document has it, for zod: references are to what stands beside it. */
function answerSchema({ method, path }: ListedOperation, { status, headers }: Answer): z.ZodType | null {
  const declared = document.paths[path]?.[method]?.responses[String(status)]
  expect(declared, `${method} ${path} ${status}`).toBeDefined()
  const type = headers.get('content-type')?.split(';')[0] ?? null
  if (type === null) {
    expect(declared?.content).toBeUndefined()
    return null
  }
  const schema = declared?.content?.[type]?.schema
  expect(schema, `${method} ${path} answers ${type}`).toBeDefined()
  const whole = { ...schema, $defs: document.components?.schemas }
  return z.fromJSONSchema(JSON.parse(JSON.stringify(whole).replaceAll('#/components/schemas/', '#/$defs/')))
}

test('every body of the reference has an example of its own', () => {
  const without = operations.filter(({ body, example }) => body !== null && example === undefined)
  expect(without.map(nameOf)).toEqual([])
})

test.each(inOrder.map((operation) => [nameOf(operation), operation] as const))('%s', async (_, operation) => {
  const { answer, sent } = await tryExample(operation)
  if (answer.status >= 400) {
    expect(answer, sent).toMatchObject({ status: REFUSED[nameOf(operation)] ?? 404 })
    if (answer.status === 404) expect(sent).toMatch(INVENTED)
  }
  const schema = answerSchema(operation, answer)
  expect(schema?.safeParse(answer.body).error?.issues ?? []).toEqual([])
})
