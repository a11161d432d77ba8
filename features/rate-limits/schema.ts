import { z } from 'zod'
import { pageQuery } from '@/libs/api-utils/page'
import { givenNameInput } from '@/libs/api-utils/text-input'

const name = givenNameInput(255)
const limit = z.number().int().min(0).max(1_000_000_000)
const duration = z.number().int().min(1).max(31_622_400_000).meta({
  description: 'Milliseconds of the window, which slides: what was used in the one before counts by its share',
  example: 60_000,
})

export const rateLimitCall = z
  .strictObject({
    namespace: name.meta({ description: 'What is limited', example: 'exports' }),
    identifier: name.meta({ description: 'Who is limited', example: 'customer-1' }),
    limit,
    duration,
    cost: z.number().int().min(0).max(1_000_000_000).default(1),
  })
  .meta({ id: 'RateLimitCall' })

/** Several limits at once: all or nothing. */
export const rateLimitCalls = z.array(rateLimitCall).min(1).max(50)
export const rateLimitInput = z.union([rateLimitCall, rateLimitCalls])

export const rateLimitResult = z
  .object({
    success: z.boolean(),
    limit: z.number(),
    remaining: z.number(),
    reset: z.number().meta({
      description: 'Milliseconds since 1970: when the present window ends, or when a refused call would pass',
    }),
    override_id: z.uuid().nullable(),
  })
  .meta({ id: 'RateLimitResult', description: 'An answer is not a status: always 200' })

export const rateLimitResults = z
  .object({ success: z.boolean(), limits: z.array(rateLimitResult) })
  .meta({ id: 'RateLimitResults' })

export const overrideInput = z
  .strictObject({
    namespace: name,
    identifier: name.meta({
      description: 'Exact, or a pattern in which * stands for any characters',
      example: 'premium_*',
    }),
    limit,
    duration,
  })
  .meta({ id: 'RateLimitOverrideInput' })

export const overridePatch = z
  .strictObject({ limit: limit.optional(), duration: duration.optional() })
  .meta({ id: 'RateLimitOverridePatch' })

export const override = z
  .object({
    id: z.uuid(),
    namespace: z.string(),
    identifier: z.string(),
    limit: z.number(),
    duration: z.number(),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'RateLimitOverride' })

export const overrideListQuery = pageQuery.extend({
  namespace: name.optional().meta({ description: 'Overrides of one namespace' }),
  q: z.string().trim().max(255).optional().meta({ description: 'In the identifier or the namespace' }),
})

export type RateLimitCall = z.infer<typeof rateLimitCall>
export type OverrideInput = z.infer<typeof overrideInput>
export type OverridePatch = z.infer<typeof overridePatch>
export type OverrideListQuery = z.infer<typeof overrideListQuery>
