import { z } from 'zod'

const stepKey = z.enum([
  'create_meter',
  'create_tier',
  'create_api_key',
  'send_first_event',
  'add_customer',
  'brand_portal',
])

export type StepKey = z.infer<typeof stepKey>

export const completeStepInput = z.strictObject({
  step: stepKey,
  skip: z.boolean().default(false).meta({ description: 'Put the step aside instead of completing it' }),
})

export const onboardingChange = z.strictObject({
  dismissed: z.boolean().optional(),
  skipped_steps: z.array(stepKey).max(20).optional(),
})

export const onboardingStatus = z
  .object({
    completed: z.number().int(),
    total: z.number().int().meta({ description: 'Steps that were not put aside' }),
    dismissed: z.boolean(),
    activated: z.boolean().meta({ description: 'Whether the tenant is open: its portal answers' }),
    steps: z.array(
      z.object({
        key: stepKey,
        title: z.string(),
        done: z.boolean(),
        skipped: z.boolean(),
        done_at: z.iso.datetime().nullable(),
        href: z.string().meta({ description: 'Page of the dashboard where it is done' }),
      }),
    ),
  })
  .meta({ id: 'OnboardingStatus' })

export type CompleteStepInput = z.infer<typeof completeStepInput>
export type OnboardingChange = z.infer<typeof onboardingChange>
