import { z } from 'zod'

/** A JSON schema as the OpenAPI document carries it; the members the reference shows. */
export type Schema = {
  $ref?: string
  type?: string | string[]
  format?: string
  description?: string
  enum?: unknown[]
  const?: unknown
  default?: unknown
  example?: unknown
  examples?: unknown[]
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean | Schema
  items?: Schema
  anyOf?: Schema[]
  oneOf?: Schema[]
  allOf?: Schema[]
  not?: Schema
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  minItems?: number
  maxItems?: number
}

type Content = Record<string, { schema?: Schema; example?: unknown }>
export type Parameter = { name: string; in: string; required?: boolean; description?: string; schema?: Schema }
type Operation = {
  summary?: string
  description?: string
  tags?: string[]
  security?: Record<string, string[]>[]
  parameters?: Parameter[]
  requestBody?: { content: Content }
  responses: Record<string, { description: string; content?: Content }>
}
export type OpenApiDocument = {
  info: { title: string; version: string; description?: string }
  servers?: { url: string }[]
  paths: Record<string, Partial<Record<Method, Operation>>>
  components?: { schemas?: Record<string, Schema> }
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const
export type Method = (typeof METHODS)[number]

/** One operation of the document, as the page shows it. */
export type ListedOperation = {
  /** Anchor of its section. */
  id: string
  method: Method
  path: string
  summary: string
  description: string
  /** Names of the security schemes of which one is enough; empty: nobody need be signed in. */
  credentials: string[]
  parameters: Parameter[]
  body: Schema | null
  /** A body that works when it is pasted. */
  example: unknown
  success: { status: string; mediaType: string | null; schema: Schema | null }
  failures: { status: string; description: string }[]
}

export type OperationGroup = { tag: string; id: string; operations: ListedOperation[] }

const shape = z.looseObject({
  info: z.looseObject({ title: z.string(), version: z.string() }),
  paths: z.looseObject({}),
})

/** The document, checked as far as the page needs it. @throws ZodError when it is none. */
export function readDocument(value: unknown): OpenApiDocument {
  return shape.parse(value) as OpenApiDocument
}

function toId(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')
}

/** Every operation, grouped by its tag in the order of the document. */
export function listOperations(document: OpenApiDocument): OperationGroup[] {
  const groups = new Map<string, OperationGroup>()
  for (const [path, item] of Object.entries(document.paths)) {
    for (const method of METHODS) {
      const operation = item[method]
      if (!operation) continue
      const tag = operation.tags?.[0] ?? path
      const group = groups.get(tag) ?? { tag, id: toId(tag), operations: [] }
      group.operations.push(listOperation(path, method, operation))
      groups.set(tag, group)
    }
  }
  return [...groups.values()]
}

function listOperation(path: string, method: Method, operation: Operation): ListedOperation {
  const responses = Object.entries(operation.responses)
  const [status = '', success] = responses.find(([code]) => code.startsWith('2')) ?? []
  const [mediaType = null, content] = Object.entries(success?.content ?? {})[0] ?? []
  const [body] = Object.values(operation.requestBody?.content ?? {})
  return {
    id: `${method}-${toId(path.replace('/api/v1/', ''))}`,
    method,
    path,
    summary: operation.summary ?? path,
    description: operation.description ?? '',
    credentials: (operation.security ?? []).flatMap((scheme) => Object.keys(scheme)),
    parameters: operation.parameters ?? [],
    body: body?.schema ?? null,
    example: body?.example,
    success: { status, mediaType, schema: content?.schema ?? null },
    failures: responses
      .filter(([code]) => !code.startsWith('2'))
      .map(([code, { description }]) => ({ status: code, description })),
  }
}

/** The schema a reference points to, with the parts of an intersection put together. */
export function resolveSchema(document: OpenApiDocument, schema: Schema): Schema {
  const name = schema.$ref?.replace('#/components/schemas/', '')
  const found = name === undefined ? schema : (document.components?.schemas?.[name] ?? {})
  if (!found.allOf) return found
  const parts = found.allOf.map((part) => resolveSchema(document, part))
  return {
    ...Object.assign({}, ...parts, found),
    properties: Object.assign({}, ...parts.map((part) => part.properties)),
    required: parts.flatMap((part) => part.required ?? []),
    allOf: undefined,
  }
}

/** What may stand for a value, null aside, and whether null may. */
export function readAlternatives(document: OpenApiDocument, schema: Schema): { schemas: Schema[]; nullable: boolean } {
  const resolved = resolveSchema(document, schema)
  const listed = (resolved.anyOf ?? resolved.oneOf ?? [resolved]).map((one) => resolveSchema(document, one))
  const isNull = (one: Schema) => one.type === 'null'
  const mentionsNull = (one: Schema) => Array.isArray(one.type) && one.type.includes('null')
  return {
    schemas: listed.filter((one) => !isNull(one)),
    nullable: listed.some((one) => isNull(one) || mentionsNull(one)),
  }
}

/** Deepest level a type is spelled out to; a schema may contain itself. */
const DEEPEST_TYPE = 2

function typeName(document: OpenApiDocument, schema: Schema, depth: number): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum) {
    const values = schema.enum.filter((one) => one !== null)
    return values.map((one) => JSON.stringify(one)).join(' | ')
  }
  if (schema.items) return `array of ${describeType(document, schema.items, depth + 1)}`
  const types = [schema.type ?? 'value'].flat().filter((one) => one !== 'null')
  if (types[0] === 'object' && !schema.properties && typeof schema.additionalProperties === 'object')
    return `object of ${describeType(document, schema.additionalProperties, depth + 1)}`
  return [types.join(' | '), schema.format ? `(${schema.format})` : ''].filter(Boolean).join(' ')
}

/** The type of a value in words: `string (uuid)`, `"active" | "revoked"`, `array of object`, `number or null`. */
export function describeType(document: OpenApiDocument, schema: Schema, depth = 0): string {
  if (depth > DEEPEST_TYPE) return 'value'
  const { schemas, nullable } = readAlternatives(document, schema)
  const names = [...new Set(schemas.map((one) => typeName(document, one, depth)))]
  return [...names, ...(nullable ? ['null'] : [])].join(' or ')
}

/** The limits of a value in words, empty without any. */
export function describeLimits(document: OpenApiDocument, schema: Schema): string {
  const [one] = readAlternatives(document, schema).schemas
  if (!one) return ''
  const range = (low: number | undefined, high: number | undefined, unit: string): string => {
    const floor = low !== undefined && low > Number.MIN_SAFE_INTEGER ? low : undefined
    const ceiling = high !== undefined && high < Number.MAX_SAFE_INTEGER ? high : undefined
    if (floor === undefined && ceiling === undefined) return ''
    if (ceiling === undefined) return `at least ${floor}${unit}`
    if (floor === undefined) return `at most ${ceiling}${unit}`
    return floor === ceiling ? `exactly ${floor}${unit}` : `${floor} to ${ceiling}${unit}`
  }
  return [
    range(one.minimum, one.maximum, ''),
    range(one.minLength, one.maxLength, ' characters'),
    range(one.minItems, one.maxItems, ' entries'),
    one.default === undefined ? '' : `default ${JSON.stringify(one.default)}`,
  ]
    .filter(Boolean)
    .join(', ')
}

const BY_FORMAT: Record<string, string> = {
  uuid: '0198c0de-0000-7000-8000-000000000001',
  'date-time': '2026-11-01T12:00:00Z',
  date: '2026-11-01',
  email: 'ann@example.com',
  uri: 'https://example.com',
}

/** A value the schema accepts, made of its examples, defaults and types; optional members are left out below the top. */
export function exampleOf(document: OpenApiDocument, schema: Schema, depth = 0): unknown {
  const { example } = schema.example === undefined ? resolveSchema(document, schema) : schema
  if (example !== undefined) return example
  const [one = {}] = readAlternatives(document, schema).schemas
  if (one.examples && one.examples.length > 0) return one.examples[0]
  if (one.const !== undefined) return one.const
  if (one.default !== undefined) return one.default
  if (one.enum) return one.enum[0]
  if (one.items) return depth > 4 ? [] : [exampleOf(document, one.items, depth + 1)]
  const type = [one.type ?? 'any'].flat().find((name) => name !== 'null')
  if (type === 'object' || one.properties) {
    const members = Object.entries(one.properties ?? {}).filter(
      ([name]) => depth < 5 && (depth === 0 || one.required?.includes(name)),
    )
    return Object.fromEntries(members.map(([name, member]) => [name, exampleOf(document, member, depth + 1)]))
  }
  if (type === 'integer' || type === 'number') return one.minimum !== undefined && one.minimum > 0 ? one.minimum : 1
  if (type === 'boolean') return true
  return BY_FORMAT[one.format ?? ''] ?? 'text'
}
