import { z } from 'zod'
import type { entitlementInput, grantInput } from '@/features/entitlements/schema'
import { findUnusable } from '@/libs/api-utils/input-errors'
import { zonedMoment } from '@/libs/api-utils/moment'
import { parseJson } from '@/libs/api-utils/read-json'
import { AppError } from '@/libs/errors'
import { addPeriod, readInterval } from './periods'

const unkept = {
  metadata: z.record(z.string(), z.unknown()).nullish(),
  annotations: z.record(z.string(), z.unknown()).nullish(),
}
const period = z.strictObject({ interval: z.string(), anchor: zonedMoment.optional() })
const interval = (allowed: readonly string[], sentence: string) =>
  period.transform(({ interval }, context) => {
    const read = readInterval(interval)
    if (read !== null && allowed.includes(read)) return read
    context.addIssue({ code: 'custom', path: ['interval'], message: sentence })
    return z.NEVER
  })
const firstPriority = z.literal(1, { error: 'must be 1: what comes with each period has that priority' }).optional()

const grantFields = z.strictObject({
  ...unkept,
  amount: z.number().positive('must be more than zero'),
  priority: z.number().optional(),
  effectiveAt: zonedMoment.optional(),
  minRolloverAmount: z.number().min(0).default(0),
  maxRolloverAmount: z.number().min(0).optional(),
  recurrence: interval(['day', 'week', 'month', 'year'], 'must be DAY, WEEK, MONTH or YEAR').optional(),
  expiration: z
    .strictObject({
      duration: z.enum(['HOUR', 'DAY', 'WEEK', 'MONTH', 'YEAR']),
      count: z.number().int().min(1).max(100_000),
    })
    .optional(),
})

/** A grant in our words. Of what is left at a reset `rollsOver` stays unless the body says how much. */
function toGrant(sent: z.infer<typeof grantFields>, rollsOver: number) {
  const { amount, priority, effectiveAt, minRolloverAmount, maxRolloverAmount, recurrence, ...rest } = sent
  const { expiration, metadata, annotations } = rest
  const effective = effectiveAt === undefined ? new Date() : new Date(effectiveAt)
  // What recurs is issued anew and keeps nothing, unless asked to.
  const max = maxRolloverAmount ?? (recurrence === undefined ? rollsOver : undefined)
  const given = {
    amount,
    ...(priority === undefined ? {} : { priority }),
    effective_at: effective.toISOString(),
    ...(max === undefined ? {} : { rollover: { min: minRolloverAmount, max } }),
    ...(recurrence === undefined ? {} : { recurrence }),
    ...(expiration === undefined
      ? {}
      : { expires_at: toText(addPeriod(effective, expiration.duration, expiration.count)) }),
    ...(metadata ? { metadata } : {}),
  } satisfies Omit<z.input<typeof grantInput>, 'meter'>
  return { given, kept: { ...(expiration ? { expiration } : {}), ...(annotations ? { annotations } : {}) } }
}

const grantBody = grantFields.transform((sent) => toGrant(sent, sent.amount))

/** The body of a grant. In the first version of the wire nothing rolls over of itself, in the second all of it does. */
export const GRANT_BODIES = { 1: grantFields.transform((sent) => toGrant(sent, 0)), 2: grantBody } as const

/** A moment beyond the calendar is no text of one, and refused as such. */
function toText(at: Date): string {
  return Number.isNaN(at.getTime()) || at.getUTCFullYear() > 9_999 ? 'beyond the calendar' : at.toISOString()
}

const feature = { ...unkept, featureKey: z.string().optional(), featureId: z.string().optional() }
const metered = z.strictObject({
  ...feature,
  type: z.literal('metered'),
  isSoftLimit: z.boolean().default(false),
  isUnlimited: z.boolean().optional(),
  usagePeriod: interval(['day', 'month'], 'must be DAY or MONTH'),
  measureUsageFrom: z
    .union(
      [z.enum(['CURRENT_PERIOD_START', 'NOW']), zonedMoment],
      'must be CURRENT_PERIOD_START, NOW, or RFC 3339 with a zone',
    )
    .default('NOW'),
  preserveOverageAtReset: z.boolean().default(false),
  issueAfterReset: z.number().optional(),
  issueAfterResetPriority: firstPriority,
  issue: z.strictObject({ amount: z.number(), priority: firstPriority }).optional(),
  grants: z.array(grantBody).max(50).default([]),
})
const staticBody = z.strictObject({
  ...feature,
  type: z.literal('static'),
  usagePeriod: period.optional(),
  config: z.string().transform((text, context): unknown => {
    try {
      const config = parseJson(text, { verbatim: true })
      for (const { pointer, detail } of findUnusable(config))
        context.addIssue({ code: 'custom', message: `is kept as JSON, in which ${pointer || 'it'} ${detail}` })
      return config
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      context.addIssue({ code: 'custom', message: `must be the text of JSON: ${error.message}` })
      return z.NEVER
    }
  }),
})
const booleanBody = z.strictObject({ ...feature, type: z.literal('boolean'), usagePeriod: period.optional() })

export const entitlementBody = z
  .discriminatedUnion('type', [metered, staticBody, booleanBody], 'must be metered, static or boolean')
  .refine(({ featureKey, featureId }) => (featureKey ?? featureId) !== undefined, {
    path: ['featureKey'],
    error: 'is needed, or featureId',
  })
  .transform((sent) => ({
    feature: sent.featureKey ?? sent.featureId ?? '',
    metadata: sent.metadata ?? null,
    measureFrom: sent.type === 'metered' ? sent.measureUsageFrom : 'NOW',
    issues: sent.type === 'metered' && (sent.issue ?? sent.issueAfterReset) !== undefined,
    ...toInput(sent),
  }))

type Sent = z.infer<typeof metered> | z.infer<typeof staticBody> | z.infer<typeof booleanBody>

function toInput(sent: Sent): {
  terms: Omit<z.input<typeof entitlementInput>, 'feature_key' | 'meter'>
  grants: z.infer<typeof grantBody>[]
} {
  if (sent.type === 'boolean') return { terms: { kind: 'boolean' }, grants: [] }
  if (sent.type === 'static') return { terms: { kind: 'static', config: sent.config }, grants: [] }
  return {
    terms: {
      kind: 'metered',
      limit: sent.issue?.amount ?? sent.issueAfterReset ?? null,
      behaviour: sent.isSoftLimit ? 'overflow' : 'reject',
      period: sent.usagePeriod === 'day' ? 'day' : 'month',
      preserve_overage: sent.preserveOverageAtReset,
    },
    grants: sent.grants,
  }
}
