import { z } from 'zod'
import { pageQuery } from '@/libs/api-utils/page'
import { lineInput, nameInput, slugInput } from '@/libs/api-utils/text-input'
import { meterFilter } from '@/libs/metering/meter-filter'

export const AGGREGATIONS = ['SUM', 'COUNT', 'UNIQUE_COUNT', 'MIN', 'MAX', 'AVG', 'LATEST', 'WEIGHTED_SUM'] as const

const aggregation = z.enum(AGGREGATIONS).meta({
  description:
    'SUM adds values, COUNT events; UNIQUE_COUNT counts different values of `value_property`; MIN, MAX, AVG and LATEST (by event time, then arrival) are of values; WEIGHTED_SUM takes values as changes of a level and averages the level over the period. Never changes.',
})

const property = z.string().min(1).max(128)

/** How a meter counts. Counters rest on it, so none of it changes once the meter is there. */
const counting = {
  value_property: property.nullable().meta({
    description: 'Property the value is taken from instead of `event_value`; UNIQUE_COUNT needs it. Never changes.',
  }),
  group_by: z
    .array(property)
    .max(5)
    .superRefine((keys, context) => {
      const refuse = (index: number, message: string) => context.addIssue({ code: 'custom', path: [index], message })
      for (const [index, key] of keys.entries()) {
        if (keys.indexOf(key) !== index) refuse(index, 'is there twice')
        if (key === 'customer') refuse(index, 'is what a question is split by customers with')
        if (key.includes(',')) refuse(index, 'must not hold a comma, which separates groups in a question')
      }
    })
    .meta({ description: 'Properties usage is also kept by, at most five. Never changes.', example: ['region'] }),
  filter: meterFilter.nullable().meta({ description: 'Which events count; null counts all. Never changes.' }),
  event_type: z
    .string()
    .trim()
    .min(1)
    .max(255)
    .nullable()
    .meta({ description: 'Name other meters’ clients send events by; null is the slug. Never changes.' }),
  property_paths: z
    .record(property, z.string().min(1).max(128))
    .nullable()
    .meta({
      description:
        'Where events of `event_type` have the properties of `group_by`, when not by their own name. Never changes.',
      example: { region: 'request.region' },
    }),
}

const slug = slugInput().meta({ description: 'Name in calls and tiers; never changes', example: 'api_calls' })

const fields = {
  name: nameInput(120).meta({ example: 'API calls' }),
  description: z.string().trim().max(2_000),
  unit: lineInput(32).meta({ description: 'What one of it is called', example: 'calls' }),
  allows_negative: z.boolean().meta({ description: 'Whether an event may lower the sum' }),
}

export const meterInput = z
  .strictObject({
    ...fields,
    slug: slug.optional().meta({ description: 'Made from the name when left out' }),
    description: fields.description.default(''),
    unit: fields.unit.default(''),
    aggregation: z
      .preprocess((value) => (typeof value === 'string' ? value.toUpperCase() : value), aggregation)
      .default('SUM'),
    value_property: counting.value_property.default(null),
    group_by: counting.group_by.default([]),
    filter: counting.filter.default(null),
    event_type: counting.event_type.default(null),
    property_paths: counting.property_paths.optional(),
    allows_negative: fields.allows_negative.default(false),
  })
  .superRefine(({ aggregation, value_property, group_by, property_paths }, context) => {
    for (const name of Object.keys(property_paths ?? {}))
      if (!group_by.includes(name))
        context.addIssue({ code: 'custom', path: ['property_paths', name], message: 'is not among group_by' })
    if (aggregation === 'UNIQUE_COUNT' && value_property === null)
      context.addIssue({
        code: 'custom',
        path: ['value_property'],
        message: 'is needed: its different values are counted',
      })
    if (aggregation === 'COUNT' && value_property !== null)
      context.addIssue({
        code: 'custom',
        path: ['value_property'],
        message: 'means nothing to COUNT, which takes no value',
      })
  })
  .meta({ id: 'MeterInput' })

const fixed = z.never({ error: 'never changes, because what was counted rests on it; make another meter' }).optional()
const FIXED = {
  slug: fixed,
  aggregation: fixed,
  value_property: fixed,
  group_by: fixed,
  filter: fixed,
  event_type: fixed,
  property_paths: fixed,
}

export const meterPatch = z
  .strictObject({ ...fields, archived: z.boolean(), ...FIXED })
  .partial()
  .meta({ id: 'MeterPatch' })

export const meter = z
  .object({
    id: z.uuid(),
    slug: z.string(),
    ...fields,
    aggregation,
    ...counting,
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
    archived_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Meter' })

export const meterListQuery = pageQuery.extend({
  q: z.string().trim().max(120).optional().meta({ description: 'In the name or the slug' }),
  archived: z.enum(['true', 'false', 'all']).default('false').meta({ description: 'true: only archived ones' }),
})

export type MeterInput = z.infer<typeof meterInput>
export type MeterPatch = z.infer<typeof meterPatch>
export type MeterListQuery = z.infer<typeof meterListQuery>
