import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import {
  override,
  overrideInput,
  overrideListQuery,
  overridePatch,
  rateLimitInput,
  rateLimitResult,
  rateLimitResults,
} from './schema'

const tag = 'Rate limits'
const params = z.object({ id: z.uuid().meta({ description: 'Id of the override' }) })

export const paths = {
  '/api/v1/rate-limits/limit': {
    post: operation({
      summary: 'Hold a call against rate limits',
      tag,
      description:
        'One limit, or an array of up to 50 that are all or nothing. A sliding window; what is refused is not counted and makes nobody wait longer. An override of the exact identifier comes before a pattern, a pattern before the limit of the call. `RateLimit-Policy`, `RateLimit`, `X-RateLimit-*` and, when refused, `Retry-After` (whole seconds) say the same in headers, for you to pass on. With an `Idempotency-Key` a repeat within a day takes nothing and gets the first answer, whatever that was.',
      permission: 'usage:write',
      body: rateLimitInput,
      example: { namespace: 'exports', identifier: 'customer-42', limit: 10, duration: 60_000 },
      success: [200, z.union([rateLimitResult, rateLimitResults])],
    }),
  },
  '/api/v1/rate-limits/overrides': {
    get: operation({
      summary: 'List overrides of rate limits',
      tag,
      permission: 'rate-limits:read',
      query: overrideListQuery,
      success: [200, pageOf(override)],
    }),
    post: operation({
      summary: 'Set an override',
      tag,
      description: 'Takes the place of one with the same namespace and identifier.',
      permission: 'rate-limits:write',
      body: overrideInput,
      example: { namespace: 'exports', identifier: 'customer-42', limit: 100, duration: 60_000 },
      success: [201, override],
      orElse: [200, override],
    }),
  },
  '/api/v1/rate-limits/overrides/{id}': {
    get: operation({
      summary: 'Get an override',
      tag,
      permission: 'rate-limits:read',
      params,
      success: [200, override],
    }),
    patch: operation({
      summary: 'Change an override',
      tag,
      permission: 'rate-limits:write',
      params,
      body: overridePatch,
      example: { limit: 200 },
      success: [200, override],
    }),
    delete: operation({
      summary: 'Delete an override',
      tag,
      permission: 'rate-limits:write',
      params,
      success: [204, null],
    }),
  },
}
