import { z } from 'zod'
import { whenFieldsAreRight } from '@/libs/api-utils/cross-field'
import { pageQuery } from '@/libs/api-utils/page'
import { nameInput, userIdInput } from '@/libs/api-utils/text-input'
import { tierRef } from '@/libs/metering/fields'

const externalId = userIdInput().meta({
  description: 'The user_id of usage calls; never changes',
  example: 'customer-42',
})
const fields = {
  name: nameInput(200).nullable(),
  email: z.email().max(320).nullable(),
  metadata: z
    .record(z.string().max(128), z.unknown())
    .refine((value) => JSON.stringify(value).length <= 8_192, 'may have at most 8,192 characters as JSON'),
}

export const customerInput = z
  .strictObject({
    external_id: externalId.optional(),
    user_id: externalId.optional().meta({ description: 'The same as external_id' }),
    name: fields.name.default(null),
    email: fields.email.default(null),
    metadata: fields.metadata.default({}),
    tier: z.string().max(64).nullable().default(null).meta({ description: 'Id or slug of the tier to subscribe to' }),
  })
  .refine(({ external_id, user_id }) => (external_id === undefined) !== (user_id === undefined), {
    path: ['external_id'],
    error: 'is needed, once (user_id means the same)',
    ...whenFieldsAreRight,
  })
  .meta({ id: 'CustomerInput' })

export const customerPatch = z
  .strictObject({ ...fields, archived: z.boolean(), external_id: z.never({ error: 'never changes' }) })
  .partial()
  .meta({ id: 'CustomerPatch' })

const tierSource = z
  .enum(['subscription', 'default'])
  .nullable()
  .meta({ description: 'Why the customer has this tier' })
export const customer = z
  .object({
    id: z.uuid(),
    external_id: z.string(),
    ...fields,
    tier: tierRef.nullable(),
    tier_source: tierSource,
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
    archived_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Customer' })

export const customerListQuery = pageQuery.extend({
  q: z.string().trim().max(200).optional().meta({ description: 'In external id, name or e-mail' }),
  tier: z
    .string()
    .max(64)
    .optional()
    .meta({ description: 'Id or slug of the tier they have, by a subscription or as the default' }),
  archived: z.enum(['true', 'false', 'all']).default('false').meta({ description: 'true: only archived ones' }),
})

export const subscriptionInput = z
  .strictObject({
    tier: z.string().max(64).nullable().optional().meta({ description: 'Id or slug; null ends the subscription' }),
    tier_id: z.uuid().optional().meta({ description: 'The same as tier' }),
    version: z
      .int()
      .min(1)
      .max(2_147_483_647)
      .optional()
      .meta({ description: 'Version of the tier; the newest by default' }),
    anchor_day: z.int().min(1).max(31).optional().meta({
      description:
        'Day its months begin on; 1 is the calendar month, later days fall on the last day of shorter months',
    }),
  })
  .refine(({ tier, tier_id }) => (tier === undefined) !== (tier_id === undefined), {
    path: ['tier'],
    error: 'is needed, once (tier_id means the same)',
    ...whenFieldsAreRight,
  })
  .refine(({ tier, version }) => tier !== null || version === undefined, {
    path: ['version'],
    error: 'is of a tier; send one',
    ...whenFieldsAreRight,
  })
  .refine(({ tier, anchor_day }) => tier !== null || anchor_day === undefined || anchor_day === 1, {
    path: ['anchor_day'],
    error: 'is of a subscription; without one months begin on the first day',
    ...whenFieldsAreRight,
  })
  .meta({ id: 'SubscriptionInput' })

export const subscription = z
  .object({
    customer_id: z.uuid(),
    subscription_id: z.uuid().nullable(),
    tier: tierRef.nullable(),
    source: tierSource,
    tier_version: z.number().int().nullable(),
    newer_version: z
      .number()
      .int()
      .nullable()
      .meta({ description: 'Newest version of the tier, when the customer has an older one' }),
    anchor_day: z.number().int(),
    started_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Subscription' })

export type CustomerInput = z.infer<typeof customerInput>
export type CustomerPatch = z.infer<typeof customerPatch>
export type CustomerListQuery = z.infer<typeof customerListQuery>
export type SubscriptionInput = z.infer<typeof subscriptionInput>
