import { z } from 'zod'
import { t } from '@/libs/ui/messages'

export const ENTITLEMENT_KINDS = ['boolean', 'static', 'metered'] as const
export const BEHAVIOURS = ['reject', 'overflow', 'cap'] as const
const FEATURE_KEY = /^[a-z0-9]+([._-][a-z0-9]+)*$/

export const entitlementFormSchema = z
  .object({
    kind: z.enum(ENTITLEMENT_KINDS),
    feature_key: z.string().trim().max(64),
    config: z.string(),
    meter: z.string(),
    limit: z.number().min(0).nullable(),
    period: z.enum(['month', 'day']),
    behaviour: z.enum(BEHAVIOURS),
    rollover: z.number().min(0).nullable(),
    preserve_overage: z.boolean(),
  })
  .refine(({ kind, feature_key }) => (kind === 'metered' && feature_key === '') || FEATURE_KEY.test(feature_key), {
    path: ['feature_key'],
    error: () => t('entitlements.form.key_wrong'),
  })
  .refine(({ kind, config }): boolean => kind !== 'static' || readObject(config) !== null, {
    path: ['config'],
    error: () => t('entitlements.form.config_wrong'),
  })
  .refine(({ kind, meter }): boolean => kind !== 'metered' || meter !== '', {
    path: ['meter'],
    error: () => t('entitlements.form.meter_required'),
  })

export type EntitlementValues = z.infer<typeof entitlementFormSchema>

function readObject(text: string): object | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && !Array.isArray(value) ? value : null
  } catch {
    return null
  }
}

/** The body that the API takes for the values of a form. */
export function entitlementBody(values: EntitlementValues) {
  const { kind, feature_key, config, meter, limit, period, behaviour, rollover, preserve_overage } = values
  if (kind === 'boolean') return { kind, feature_key }
  if (kind === 'static') return { kind, feature_key, config: readObject(config) }
  const carries = rollover ? { rollover: { max: rollover } } : {}
  return {
    kind,
    ...(feature_key ? { feature_key } : {}),
    meter,
    limit,
    period,
    behaviour,
    preserve_overage,
    ...carries,
  }
}

/** What a form starts with. */
export const entitlementStart: EntitlementValues = {
  kind: 'boolean',
  feature_key: '',
  config: '',
  meter: '',
  limit: null,
  period: 'month',
  behaviour: 'reject',
  rollover: null,
  preserve_overage: false,
}
