import { z } from 'zod'

export const correctQuery = z.strictObject({
  strict: z.enum(['true', 'false']).optional().meta({ description: 'true: all or nothing, 422 when one is refused' }),
})

const named = {
  id: z.uuid().optional().meta({ description: 'Id of the event here; instead of its event_id' }),
  event_id: z.string().max(255).optional().meta({ description: 'Id it was sent with' }),
  source: z.string().max(255).optional().meta({ description: 'Source it was sent with, if any' }),
  reason: z.string().max(500).optional().meta({ description: 'For the record' }),
}

// What comes in is read by services/correction-parser.ts, one by one; this is its description.
const correctionInput = z
  .union([
    z.object({ action: z.literal('cancel'), ...named }),
    z.object({
      action: z.literal('amend'),
      ...named,
      event_value: z.union([z.number(), z.string()]).optional(),
      properties: z
        .record(z.string(), z.unknown())
        .nullable()
        .optional()
        .meta({ description: 'All of them; null for none' }),
      timestamp: z.union([z.string(), z.number()]).optional(),
      meter_id: z.string().optional(),
      user_id: z.string().optional(),
    }),
  ])
  .meta({ id: 'UsageCorrectionInput' })

export const correctBody = z.union([correctionInput, z.array(correctionInput).min(1).max(100)])

export const correctionResult = z
  .object({
    corrected: z.number().int(),
    duplicates: z.number().int().meta({ description: 'Corrections that were made before' }),
    results: z.array(
      z.object({
        index: z.number().int(),
        status: z.enum(['canceled', 'amended', 'duplicate']),
        id: z.uuid().meta({ description: 'The event that was taken back' }),
        canceled_by: z.uuid().nullable().meta({ description: 'The row that takes it back' }),
        replaced_by: z.uuid().nullable().meta({ description: 'The event that stands instead' }),
      }),
    ),
    rejected: z
      .array(z.looseObject({ index: z.number().int(), code: z.string(), detail: z.string() }))
      .meta({ description: 'An amendment that would pass a cap says where the customer stands, as when tracking' }),
  })
  .meta({ id: 'UsageCorrectionResult' })

export type CorrectionResult = z.infer<typeof correctionResult>
