import { z } from 'zod'
import {
  createDocument,
  type ZodOpenApiOperationObject,
  type ZodOpenApiPathItemObject,
  type ZodOpenApiPathsObject,
} from 'zod-openapi'
import { ERROR_STATUS } from '@/libs/errors'

const problem = z
  .looseObject({
    type: z.url().meta({ description: 'A page that explains the code' }),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    code: z.string().meta({ description: 'One of the documented codes', examples: Object.keys(ERROR_STATUS) }),
    request_id: z.string(),
    errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
    upgrade: z.object({ reason: z.string(), current_plan: z.string(), plans: z.array(z.string()) }).optional(),
  })
  .meta({
    id: 'Problem',
    description: 'RFC 9457 problem document. Some codes bring further members, such as `required_permission`',
  })

/** `{data, next_cursor}` of a row schema. */
export function pageOf(row: z.ZodType) {
  return z.object({ data: z.array(row), next_cursor: z.string().nullable() })
}

type OperationInput = {
  summary: string
  tag: string
  description?: string
  /** Permission the caller needs; absent: any member or key of the tenant. */
  permission?: string
  /** `tenant` (default): session, token or key of a tenant; `user`: a signed-in user; `public`: nobody need be signed in. */
  auth?: 'tenant' | 'user' | 'public'
  params?: z.ZodObject
  query?: z.ZodObject
  body?: z.ZodType
  /** A body as the reference shows it, for who begins: nothing in it but what matters, and it works when pasted. */
  example?: object
  /** The body may be left out. */
  bodyOptional?: boolean
  /** Status and schema of success; null for no content. */
  success: [status: 200 | 201 | 202 | 204, schema: z.ZodType | null]
  /** Another status of success, where one call can have two outcomes. */
  orElse?: [status: 200 | 201 | 202 | 204, schema: z.ZodType | null]
  /** Whether an Idempotency-Key makes a write safe to repeat; as a rule, for those of a tenant. */
  repeatable?: boolean
  /** What else is refused where hardly any other operation does, by status. */
  refusals?: Record<string, string>
  /** Whether callers are slowed down: 429 with `Retry-After`. */
  limited?: boolean
  /** Media types of success, application/json by default. */
  mediaType?: string | readonly string[]
  /** The same as a table where it is asked for, as text/csv. */
  csv?: boolean
}

const idempotencyKey = z.object({
  'Idempotency-Key': z
    .string()
    .regex(/^[!-~]{1,255}$/)
    .optional()
    .meta({
      description:
        'Makes the request safe to repeat: within a day the same key with the same request does nothing and gets the first answer, with `idempotent-replayed: true`; with another request it is 422 `idempotency_mismatch`. Errors are not kept.',
      example: '0193a8f0-5f6e-7c1a-9b0e-3d2c4b5a6978',
    }),
})

const content = (schema: z.ZodType, mediaType: string | readonly string[] = 'application/json') =>
  Object.fromEntries([mediaType].flat().map((type) => [type, { schema }]))
const failure = (description: string) => ({ description, content: content(problem, 'application/problem+json') })

/** One operation of the OpenAPI document, with the errors every route can answer. */
export function operation(input: OperationInput): ZodOpenApiOperationObject {
  const {
    summary,
    tag,
    permission,
    auth = 'tenant',
    params,
    query,
    body,
    example,
    bodyOptional = false,
    success,
    orElse,
    mediaType,
    csv = false,
  } = input
  const { repeatable = auth === 'tenant', limited = false, refusals = {} } = input
  const requestParams = {
    ...(params ? { path: params } : {}),
    ...(query ? { query } : {}),
    ...(repeatable ? { header: idempotencyKey } : {}),
  }
  const permissionLine = permission ? `Needs the permission \`${permission}\`.` : ''
  return {
    summary,
    tags: [tag],
    description: [input.description, permissionLine].filter(Boolean).join('\n\n') || undefined,
    security:
      auth === 'public'
        ? []
        : auth === 'user'
          ? [{ session: [] }, { token: [] }]
          : [{ key: [] }, { token: [] }, { session: [] }],
    ...(Object.keys(requestParams).length > 0 ? { requestParams } : {}),
    ...(body
      ? {
          requestBody: {
            required: !bodyOptional,
            content: { 'application/json': { schema: body, ...(example ? { example } : {}) } },
          },
        }
      : {}),
    responses: {
      ...Object.fromEntries(
        [success, ...(orElse ? [orElse] : [])].map(([status, schema]) => [
          String(status),
          {
            description: 'Success',
            ...(schema
              ? { content: { ...content(schema, mediaType), ...(csv ? content(z.string(), 'text/csv') : {}) } }
              : {}),
          },
        ]),
      ),
      '400': failure('The request cannot be read'),
      ...(auth === 'public' ? {} : { '401': failure('No valid credential') }),
      '403': failure(
        auth === 'public'
          ? 'From another site'
          : 'Not allowed, from another site, or the request names different tenants',
      ),
      '404': failure('Not there, or not yours'),
      ...(body ? { '413': failure('The body is too large'), '415': failure('The body is not JSON') } : {}),
      ...(body || query ? { '422': failure('The input is wrong; `errors` says where') } : {}),
      ...(auth === 'tenant' ? { '423': failure('The tenant is suspended, or read-only at the moment') } : {}),
      ...(limited
        ? { '429': failure('Too many at once or of late; `Retry-After` says how many seconds to wait') }
        : {}),
      ...Object.fromEntries(Object.entries(refusals).map(([status, words]) => [status, failure(words)])),
      '503': failure('Not available at the moment'),
      default: failure('Whatever else goes wrong; `code` says what'),
    },
  }
}

const METHODS = ['get', 'put', 'post', 'patch', 'delete'] as const

/** What an operation is called in clients that are generated: `GET /api/v1/meters/{id}/query` is `getMetersByIdQuery`. */
function operationIdOf(method: string, path: string): string {
  const words = path
    .replace(/^\/api\/(?:v1\/)?/, '')
    .replaceAll('{', 'by/')
    .split(/[^A-Za-z0-9]+/)
    .filter(Boolean)
  return method + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')
}

/** Each operation with its name and, where something changes, with what may stand against it. */
function complete(paths: ZodOpenApiPathsObject): ZodOpenApiPathsObject {
  return Object.fromEntries(
    Object.entries(paths).map(([path, item]) => {
      const whole: ZodOpenApiPathItemObject = { ...item }
      for (const method of METHODS) {
        const found = item[method]
        if (!found) continue
        const responses = { ...found.responses }
        if (method !== 'get') responses['409'] = failure('Against what is there; `detail` says how')
        const { header, ...others } = found.requestParams ?? {}
        const requestParams = method === 'get' || !header ? others : { ...others, header }
        whole[method] = { ...found, operationId: operationIdOf(method, path), requestParams, responses }
      }
      return [path, whole]
    }),
  )
}

/** The OpenAPI 3.1 document of a set of paths. */
export function createOpenApi(paths: ZodOpenApiPathsObject, version: string, server: string) {
  return createDocument({
    openapi: '3.1.1',
    info: {
      title: 'Holdfast API',
      version,
      description:
        'Every path works in two forms: `/api/v1/<rest>` for the tenant named by host, header, API key or token, and `/api/v1/tenants/{id|slug|current}/<rest>` addressed to that tenant. Lists are `{data, next_cursor}`, errors RFC 9457 problem documents, and the writes of a tenant take an `Idempotency-Key`.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: server }],
    paths: complete(paths),
    components: {
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'API key, `hf_live_…`' },
        token: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'Access token of the auth server, `POST /auth/v1/token?grant_type=password` there',
        },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: 'hf-session',
          description: 'Session of the dashboard or portal',
        },
      },
    },
  })
}
