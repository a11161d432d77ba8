import { z } from 'zod'
import { pageQuery } from '@/libs/api-utils/page'
import { customerNameInput } from '@/libs/api-utils/text-input'
import { behaviour, customerRef, quantity, tierRef } from '@/libs/metering/fields'

const STATUSES = ['open', 'accepted', 'declined', 'withdrawn'] as const

export const upgradeRequestInput = z
  .strictObject({
    tier: z.string().min(1).max(64).meta({ description: 'Id or slug', example: 'professional' }),
    note: z.string().trim().min(1).max(1_000).nullable().default(null).meta({ description: 'A word to the tenant' }),
  })
  .meta({ id: 'UpgradeRequestInput' })

export const upgradeRequestPatch = z
  .strictObject({ status: z.enum(['accepted', 'declined']) })
  .meta({ id: 'UpgradeRequestPatch' })

export const upgradeRequest = z
  .object({
    id: z.uuid(),
    customer: customerRef,
    tier: tierRef,
    status: z.enum(STATUSES),
    requested_by: z.string().nullable(),
    note: z.string().nullable(),
    created_at: z.iso.datetime(),
    decided_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'UpgradeRequest' })

export const upgradeRequestListQuery = pageQuery.extend({
  status: z.enum(STATUSES).optional().meta({ description: 'All when left out' }),
  customer: customerNameInput().optional().meta({ description: 'Id or external id' }),
})

export const portalTier = z
  .object({
    id: z.uuid(),
    slug: z.string(),
    name: z.string(),
    description: z.string(),
    price: z.number(),
    price_minor: z.number().int(),
    currency: z.string(),
    billing_interval: z.enum(['month', 'year']),
    caps: z.array(
      z.object({
        meter: z.string(),
        name: z.string(),
        unit: z.string(),
        limit: quantity,
        behaviour,
        period: z.enum(['day', 'month']),
      }),
    ),
    features: z.array(
      z.object({
        key: z.string(),
        name: z.string().meta({ description: 'What people call it; the key where no feature of this key is listed' }),
      }),
    ),
    present: z.boolean().meta({ description: 'The tier the customer has, in the version it has' }),
    self_service: z.boolean().meta({ description: 'Whether the customer may take it without asking' }),
  })
  .meta({ id: 'PortalTier' })

export const portalTiers = z
  .object({
    data: z.array(portalTier),
    open_request: upgradeRequest.nullable().meta({ description: 'What the customer asked for and is not decided yet' }),
  })
  .meta({ id: 'PortalTiers' })

export type UpgradeRequestInput = z.infer<typeof upgradeRequestInput>
export type UpgradeRequestListQuery = z.infer<typeof upgradeRequestListQuery>
