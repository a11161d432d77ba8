import { z } from 'zod'
import { pageQuery } from '@/libs/api-utils/page'

const SLUG = /^[a-z0-9]+([_-][a-z0-9]+)*$/
const UUID_LIKE = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const slug = z
  .string()
  .max(64)
  .regex(SLUG, 'must be lower-case letters and digits, with single - or _ between')
  .refine((text) => !UUID_LIKE.test(text), 'must not look like an id')
  .meta({ description: 'Name in calls and tiers; never changes', example: 'api_calls' })

const fields = {
  name: z.string().trim().min(1).max(120).meta({ example: 'API calls' }),
  description: z.string().trim().max(2_000),
  unit: z.string().trim().max(32).meta({ description: 'What one of it is called', example: 'calls' }),
  allows_negative: z.boolean().meta({ description: 'Whether an event may lower the sum' }),
}

export const meterInput = z
  .strictObject({
    ...fields,
    slug: slug.optional().meta({ description: 'Made from the name when left out' }),
    description: fields.description.default(''),
    unit: fields.unit.default(''),
    aggregation: z
      .preprocess((value) => (typeof value === 'string' ? value.toUpperCase() : value), z.enum(['SUM', 'COUNT']))
      .default('SUM')
      .meta({ description: 'SUM adds the values of events, COUNT the events themselves; never changes' }),
    allows_negative: fields.allows_negative.default(false),
  })
  .meta({ id: 'MeterInput' })

export const meterPatch = z
  .strictObject({ ...fields, archived: z.boolean() })
  .partial()
  .meta({ id: 'MeterPatch' })

export const meter = z
  .object({
    id: z.uuid(),
    slug: z.string(),
    ...fields,
    aggregation: z.enum(['SUM', 'COUNT']),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
    archived_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Meter' })

export const meterListQuery = pageQuery.extend({
  q: z.string().trim().max(120).optional(),
  archived: z.enum(['true', 'false', 'all']).default('false').meta({ description: 'true: only archived ones' }),
})

export type MeterInput = z.infer<typeof meterInput>
export type MeterPatch = z.infer<typeof meterPatch>
export type MeterListQuery = z.infer<typeof meterListQuery>
