import { z } from 'zod'
import { decimalInput } from '@/libs/api-utils/decimal-input'
import { userIdInput } from '@/libs/api-utils/text-input'
import { checkCode, quantity, tierUpgrade } from '@/libs/metering/fields'

export const reserveInput = z
  .strictObject({
    meter_id: z.string().min(1).max(64).meta({ description: 'Id or slug of a meter', example: 'api_calls' }),
    user_id: userIdInput(),
    amount: decimalInput('more').default('1').meta({ description: 'What to hold back', example: 10 }),
    expires_in: z.int().min(1).max(86_400).default(900).meta({ description: 'Seconds until it is let go by itself' }),
  })
  .meta({ id: 'ReserveInput' })

export const settleInput = z
  .strictObject({
    reservation_id: z.uuid(),
    amount: decimalInput('zero')
      .optional()
      .meta({ description: 'What was used: part of what is held, or more; all of it when left out' }),
    properties: z
      .record(
        z.string().min(1).max(128),
        z.union([z.string().max(1_024), z.number(), z.boolean(), z.null()], {
          error: 'must be text of at most 1,024 characters, a number, true, false or null',
        }),
      )
      .refine((value) => Object.keys(value).length <= 64, 'at most 64 properties')
      .optional()
      .meta({ description: 'Of the event that is counted' }),
  })
  .meta({ id: 'SettleInput' })

export const releaseInput = z.strictObject({ reservation_id: z.uuid() }).meta({ id: 'ReleaseInput' })

const standing = {
  limit: quantity.nullable(),
  used: quantity,
  held: quantity.meta({ description: 'Reserved in all and not yet settled' }),
  remaining: quantity.nullable().meta({ description: 'What is left and not reserved' }),
  overage: quantity,
  reset_at: z.iso.datetime(),
}

export const reserveAnswer = z
  .object({
    allowed: z.boolean(),
    code: checkCode.extract(['VALID', 'NOT_FOUND', 'USAGE_EXCEEDED', 'DISABLED']),
    meter: z.string(),
    user_id: z.string(),
    ...standing,
    used: quantity.nullable(),
    held: quantity.nullable(),
    overage: quantity.nullable(),
    reset_at: z.iso.datetime().nullable(),
    reservation: z.object({ id: z.uuid(), amount: quantity, expires_at: z.iso.datetime() }).nullable(),
    upgrade: tierUpgrade.optional(),
  })
  .meta({ id: 'ReserveAnswer' })

export const settleAnswer = z
  .object({
    reservation_id: z.uuid(),
    status: z.literal('settled'),
    amount: quantity.meta({ description: 'What was held' }),
    settled: quantity.meta({ description: 'What it was settled with' }),
    counted: quantity.meta({
      description:
        'What of it counted: less where a cap takes what is left, or where the event does not pass the filter of its meter',
    }),
    meter: z.string(),
    user_id: z.string(),
    ...standing,
  })
  .meta({ id: 'SettleAnswer' })

export const releaseAnswer = z
  .object({ reservation_id: z.uuid(), status: z.literal('released'), amount: quantity })
  .meta({ id: 'ReleaseAnswer' })

export type ReserveInput = z.infer<typeof reserveInput>
export type SettleInput = z.infer<typeof settleInput>
