import { z } from 'zod'
import { decimalInput } from '@/libs/api-utils/decimal-input'
import { pageQuery } from '@/libs/api-utils/page'
import { customerNameInput, nameInput } from '@/libs/api-utils/text-input'
import { customerRef, meterRef, quantity } from '@/libs/metering/fields'

const ALERT_KINDS = ['usage', 'usage_percent', 'remaining', 'remaining_percent'] as const

const kind = z.enum(ALERT_KINDS).meta({
  description:
    'usage: used at or above the threshold; usage_percent: that share of the cap; remaining and remaining_percent: as little or less left',
})
const watched = z.string().min(1).max(64)

const fields = {
  name: nameInput(120).meta({ example: '80 % of the cap' }),
  threshold: decimalInput('zero').meta({ description: 'In units of the meter, or in percent', example: 80 }),
  recurring_every: decimalInput('more')
    .nullable()
    .meta({ description: 'Fires again at each further step of this size; null fires once', example: 10 }),
  tells_admins: z.boolean().meta({ description: 'Owners and admins, by mail' }),
  tells_customer: z.boolean().meta({ description: 'The customer, by mail, where an address is known' }),
  tells_connectors: z.boolean().meta({ description: 'The event usage.threshold_reached for connectors' }),
  enabled: z.boolean(),
}

export const alertInput = z
  .strictObject({
    ...fields,
    meter: watched.meta({ description: 'Id or slug', example: 'api_calls' }),
    customer: customerNameInput()
      .nullable()
      .default(null)
      .meta({ description: 'Id or external id; null is every customer' }),
    kind,
    recurring_every: fields.recurring_every.default(null),
    tells_admins: fields.tells_admins.default(true),
    tells_customer: fields.tells_customer.default(false),
    tells_connectors: fields.tells_connectors.default(true),
    enabled: fields.enabled.default(true),
  })
  .meta({ id: 'AlertInput' })

export const alertPatch = z.strictObject(fields).partial().meta({ id: 'AlertPatch' })

export const alertListQuery = pageQuery.extend({
  meter: watched.optional().meta({ description: 'Id or slug' }),
  customer: customerNameInput()
    .optional()
    .meta({ description: 'Id or external id: the rules that watch this customer alone' }),
})

export const firingListQuery = pageQuery.extend({
  rule: z.uuid().optional().meta({ description: 'Id of a rule' }),
  meter: watched.optional().meta({ description: 'Id or slug' }),
  customer: customerNameInput().optional().meta({ description: 'Id or external id' }),
})

export const alert = z
  .object({
    id: z.uuid(),
    ...fields,
    threshold: quantity,
    recurring_every: quantity.nullable(),
    kind,
    meter: meterRef,
    customer: customerRef.nullable(),
    last_fired_at: z.iso.datetime().nullable(),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
    archived_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Alert' })

export const alertFiring = z
  .object({
    id: z.uuid(),
    rule: z.object({ id: z.uuid(), name: z.string(), kind }),
    meter: meterRef,
    customer: customerRef,
    period: z.enum(['day', 'month']),
    period_start: z.iso.date(),
    step: quantity.meta({ description: 'What was reached: the threshold, or a further step of it' }),
    used: quantity,
    available: quantity.nullable().meta({ description: 'What the period held: the cap, or allowance and grants' }),
    fired_at: z.iso.datetime(),
    told_at: z.iso.datetime().nullable(),
    told: z.number().int().meta({ description: 'Mails queued for it' }),
  })
  .meta({ id: 'AlertFiring' })

export const standardAlerts = z.object({ created: z.array(alert) }).meta({ id: 'StandardAlerts' })

export type AlertKind = (typeof ALERT_KINDS)[number]
export type AlertInput = z.infer<typeof alertInput>
export type AlertPatch = z.infer<typeof alertPatch>
export type AlertListQuery = z.infer<typeof alertListQuery>
export type FiringListQuery = z.infer<typeof firingListQuery>
