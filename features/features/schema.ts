import { z } from 'zod'
import { pageQuery } from '@/libs/api-utils/page'
import { nameInput, newFeatureKeyInput } from '@/libs/api-utils/text-input'
import { meterRef } from '@/libs/metering/fields'

const fields = {
  key: newFeatureKeyInput().meta({
    description: 'Name in tiers, entitlements and calls; never changes',
    example: 'exports',
  }),
  name: nameInput(200).meta({ example: 'Exports' }),
  metadata: z
    .record(z.string().max(128), z.unknown())
    .refine((value) => JSON.stringify(value).length <= 8_192, 'may have at most 8,192 characters as JSON'),
}

export const featureInput = z
  .strictObject({
    key: fields.key,
    name: fields.name.optional().meta({ description: 'The key when left out' }),
    meter: z
      .string()
      .trim()
      .min(1)
      .max(64)
      .nullable()
      .default(null)
      .meta({ description: 'Id or slug of the meter that counts it; without one it is had or not had' }),
    metadata: fields.metadata.default({}),
  })
  .meta({ id: 'FeatureInput' })

const fixed = z.never({ error: 'never changes, because calls and entitlements rest on it' }).optional()

export const featurePatch = z
  .strictObject({
    name: fields.name,
    metadata: fields.metadata,
    archived: z.boolean().meta({ description: 'false brings it back, while its key is free' }),
    key: fixed,
    meter: fixed,
  })
  .partial()
  .meta({ id: 'FeaturePatch' })

export const feature = z
  .object({
    id: z.uuid(),
    ...fields,
    meter: meterRef.nullable(),
    created_at: z.iso.datetime(),
    archived_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Feature' })

export const featureListQuery = pageQuery.extend({
  q: z.string().trim().max(200).optional().meta({ description: 'Part of the name or the key' }),
  meter: z.string().max(64).optional().meta({ description: 'Id or slug' }),
  archived: z.enum(['true', 'false', 'all']).default('false').meta({ description: 'true: only archived ones' }),
})

export type FeatureInput = z.infer<typeof featureInput>
export type FeaturePatch = z.infer<typeof featurePatch>
export type FeatureListQuery = z.infer<typeof featureListQuery>
