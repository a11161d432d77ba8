import { renderToStaticMarkup } from 'react-dom/server'
import { describe, expect, test, vi } from 'vitest'
import { GroupReference } from '@/app/(platform)/docs/api/group-reference'
import {
  describeLimits,
  describeType,
  exampleOf,
  listOperations,
  type OpenApiDocument,
  readDocument,
  type Schema,
} from '@/app/(platform)/docs/api/openapi-document'
import { OperationSection } from '@/app/(platform)/docs/api/operation-section'
import { ReferenceIntroduction } from '@/app/(platform)/docs/api/reference-introduction'
import { SchemaFields } from '@/app/(platform)/docs/api/schema-fields'
import ErrorsPage from '@/app/(platform)/docs/errors/page'
import { GET as getOpenApi } from '@/app/api/openapi.json/route'
import { ERROR_STATUS } from '@/libs/errors'
import docs from '@/messages/en/docs.json'

const request = new Request('http://app.localhost:3000/api/openapi.json')
const document = readDocument(await (await getOpenApi(request)).json())
const groups = listOperations(document)
const operations = groups.flatMap((group) => group.operations)
const introduction = renderToStaticMarkup(<ReferenceIntroduction document={document} groups={groups} />)

function idsOf(markup: string): string[] {
  return [...markup.matchAll(/ id="([^"]+)"/g)].map(([, id = '']) => id)
}

function hrefsOf(markup: string): string[] {
  return [...markup.matchAll(/ href="([^"]+)"/g)].map(([, href = '']) => href)
}

function repeatedOf(list: string[]): string[] {
  return list.filter((one, index) => list.indexOf(one) !== index)
}

describe('the API reference', () => {
  test('lists every operation of the document, each under an anchor of its own', () => {
    const count = Object.values(document.paths).flatMap((item) =>
      Object.keys(item).filter((key) => /^(get|post|put|patch|delete)$/.test(key)),
    ).length
    expect(count).toBeGreaterThan(3)
    expect(operations).toHaveLength(count)
    const anchors = [...operations.map(({ id }) => id), ...groups.map(({ id }) => id)]
    expect(repeatedOf(anchors)).toEqual([])
    expect(idsOf(introduction)).toEqual(expect.arrayContaining(anchors))
    expect(repeatedOf(idsOf(introduction))).toEqual([])
  })

  test('the index leads to each operation on the page of its group', () => {
    const expected = groups.flatMap((group) => group.operations.map(({ id }) => `/docs/api/${group.id}#${id}`))
    expect(hrefsOf(introduction).filter((href) => /^\/docs\/api\/.+#/.test(href))).toEqual(expected)
  })

  test.each(groups.map((group, index) => [group.tag, group, index] as const))(
    'the page of %s has every operation of it and the ways on',
    (_, group, index) => {
      const markup = renderToStaticMarkup(<GroupReference document={document} groups={groups} group={group} />)
      const anchors = group.operations.map(({ id }) => id)
      expect(idsOf(markup).filter((id) => operations.some((one) => one.id === id))).toEqual(anchors)
      expect(repeatedOf(idsOf(markup))).toEqual([])
      const hrefs = hrefsOf(markup)
      expect(hrefs).toEqual(expect.arrayContaining(anchors.map((id) => `#${id}`)))
      expect(hrefs).toEqual(expect.arrayContaining(groups.map(({ id }) => `/docs/api/${id}`)))
      const neighbours = [groups[index - 1], groups[index + 1]].flatMap((one) => (one ? [`/docs/api/${one.id}`] : []))
      const beside = [...markup.matchAll(/<a [^>]*rel="(?:prev|next)"[^>]*>/g)].flatMap(([link]) => hrefsOf(link))
      expect(beside).toEqual(neighbours)
      expect(markup.match(/<[a-z]/g)?.length).toBeLessThan(3_000)
    },
  )

  test.each(operations.map((operation) => [`${operation.method} ${operation.path}`, operation] as const))(
    'shows %s with its path, its answer and a call to copy',
    (_, operation) => {
      const markup = renderToStaticMarkup(<OperationSection document={document} operation={operation} />)
      expect(markup).toContain(operation.path)
      expect(markup).toContain(`Answer ${operation.success.status}`)
      expect(markup).toContain('curl')
      expect(idsOf(markup)).toContain(operation.id)
      expect(markup).not.toMatch(/\[object|undefined|"any"/)
    },
  )

  test.each([
    [['key', 'session'], 'HOLDFAST_API_KEY'],
    [['session', 'token'], '&lt;access token&gt;'],
    [[], null],
  ] as const)('the call to copy carries what the operation takes: %j', (credentials, expected) => {
    const [operation] = operations
    if (!operation) throw new Error('There are operations.')
    const open = { ...operation, method: 'get' as const, body: null, credentials: [...credentials] }
    const markup = renderToStaticMarkup(<OperationSection document={document} operation={open} />)
    if (expected) expect(markup).toContain(expected)
    else expect(markup).not.toMatch(/authorization|\\/i)
  })

  const sectionOf = (name: string): string => {
    const operation = operations.find(({ method, path }) => `${method} ${path}` === name)
    if (!operation) throw new Error(`${name} is no operation.`)
    return renderToStaticMarkup(<OperationSection document={document} operation={operation} />)
  }

  test('the call to copy has what is needed, and names that exist once its neighbours were tried', () => {
    expect(sectionOf('get /api/v1/usage/query')).toContain('/api/v1/usage/query?meter=api_calls')
    expect(sectionOf('post /api/v1/meters')).toContain(
      '{&quot;name&quot;:&quot;API calls&quot;,&quot;slug&quot;:&quot;api_calls&quot;',
    )
    expect(sectionOf('patch /api/v1/meters/{id}')).toContain('/api/v1/meters/api_calls')
  })

  test('what is never taken is no field to send', () => {
    const schema = { type: 'object', properties: { unit: { type: 'string' }, slug: { not: {} } } }
    const markup = renderToStaticMarkup(<SchemaFields document={document} schema={schema} marksRequired />)
    expect(markup).toContain('unit')
    expect(markup).not.toContain('slug')
  })

  const withSchemas = (schemas: Record<string, Schema>): OpenApiDocument => ({
    info: { title: 't', version: '1' },
    paths: {},
    components: { schemas },
  })

  test('says types and limits in words', () => {
    const known = withSchemas({ Key: { type: 'object', properties: { id: { type: 'string', format: 'uuid' } } } })
    const type = (schema: Schema) => describeType(known, schema)
    expect(type({ type: 'string', format: 'uuid' })).toBe('string (uuid)')
    expect(type({ type: ['string', 'null'] })).toBe('string or null')
    expect(type({ anyOf: [{ type: 'number' }, { type: 'string' }, { type: 'null' }] })).toBe('number or string or null')
    expect(type({ enum: ['day', 'month'] })).toBe('"day" | "month"')
    expect(type({ type: 'array', items: { $ref: '#/components/schemas/Key' } })).toBe('array of object')
    expect(type({ type: 'object', additionalProperties: { type: 'number' } })).toBe('object of number')
    expect(describeLimits(known, { type: 'integer', minimum: 1, maximum: 200, default: 50 })).toBe(
      '1 to 200, default 50',
    )
    expect(describeLimits(known, { type: 'string', minLength: 4, maxLength: 4 })).toBe('exactly 4 characters')
    expect(describeLimits(known, { type: 'integer', maximum: Number.MAX_SAFE_INTEGER })).toBe('')
  })

  test('puts an intersection together and makes an example of it', () => {
    const known = withSchemas({
      Base: { type: 'object', properties: { name: { type: 'string', examples: ['Acme'] } }, required: ['name'] },
    })
    const both = {
      allOf: [{ $ref: '#/components/schemas/Base' }, { properties: { size: { type: 'integer', minimum: 3 } } }],
    }
    expect(exampleOf(known, both)).toEqual({ name: 'Acme', size: 3 })
  })

  test('a schema that contains itself ends', () => {
    const known = withSchemas({ Node: { type: 'object', properties: {}, required: ['next'] } })
    const node = known.components?.schemas?.Node
    if (node) node.properties = { next: { $ref: '#/components/schemas/Node' } }
    expect(JSON.stringify(exampleOf(known, { $ref: '#/components/schemas/Node' })).length).toBeLessThan(200)
    const json: Schema = {
      anyOf: [{ type: 'string' }, { type: 'array', items: { $ref: '#/components/schemas/Json' } }],
    }
    const recursive = withSchemas({ Json: json })
    expect(describeType(recursive, json)).toBe('string or array of string or array of string or array of value')
    expect(renderToStaticMarkup(<SchemaFields document={recursive} schema={json} marksRequired />)).toContain('string')
  })

  test('refuses what is no OpenAPI document', () => {
    expect(() => readDocument({ error: 'down' })).toThrow()
  })
})

describe('the page of errors', () => {
  test('has a section for every code there is, and for no other', () => {
    const codes = Object.keys(ERROR_STATUS)
    expect(Object.keys(docs.errors.codes)).toEqual(codes)
    const sections = idsOf(renderToStaticMarkup(<ErrorsPage />)).filter((id) => codes.includes(id))
    expect(sections).toEqual(codes)
  })
})

test('the reference is made once for each scheme: whoever asks for it again and again costs next to nothing', async () => {
  const secure = { headers: { 'x-forwarded-proto': 'https' } }
  const written = vi.spyOn(JSON, 'stringify')
  const first = await getOpenApi(new Request(request.url, secure)).text()
  for (let time = 0; time < 20; time += 1) expect(getOpenApi(new Request(request.url, secure)).status).toBe(200)
  const documents = written.mock.calls.filter(
    ([value]) => (value as { openapi?: string } | null)?.openapi !== undefined,
  )
  written.mockRestore()
  expect(documents).toHaveLength(1)
  expect(first).toContain('"servers":[{"url":"https://')
  expect(await getOpenApi(request).text()).toContain('"servers":[{"url":"http://')
})
