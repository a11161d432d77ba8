import { z } from 'zod'
import type { tier, tierPreview, tierVersion } from '@/features/tiers/schema'
import { currencyDigits, fromMinor } from '@/libs/ingest/money'
import { changedFields } from '@/libs/ui/changed-fields'
import { t } from '@/libs/ui/messages'

export type Tier = z.infer<typeof tier>
export type TierVersion = z.infer<typeof tierVersion>
export type TierPreview = z.infer<typeof tierPreview>
export type TierCap = Tier['usage_caps'][string]

const FEATURE_KEY = /^[a-z0-9]+([._-][a-z0-9]+)*$/

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

export const tierFormSchema = z
  .object({
    name: z
      .string()
      .trim()
      .min(1, { error: () => t('tiers.form.name_required') })
      .max(120),
    description: z.string().max(2000),
    price: z
      .number({ error: () => t('tiers.form.price_required') })
      .min(0)
      .nullable(),
    currency: z.string().length(3),
    billing_interval: z.enum(['month', 'year']),
    is_default: z.boolean(),
    self_service: z.boolean(),
    caps: z.array(
      z
        .object({
          meter: z.string().min(1, { error: () => t('tiers.form.meter_required') }),
          limit: z
            .number()
            .min(0)
            .nullable()
            .refine((limit): boolean => limit !== null, { error: () => t('tiers.form.limit_required') }),
          period: z.enum(['day', 'month']),
          behaviour: z.enum(['reject', 'overflow', 'cap']),
          rollover_min: z.number().min(0).nullable(),
          rollover_max: z.number().min(0).nullable(),
          preserve_overage: z.boolean(),
        })
        .refine(({ rollover_min, rollover_max }): boolean => (rollover_min ?? 0) <= (rollover_max ?? 0), {
          path: ['rollover_min'],
          error: () => t('tiers.form.rollover_min_wrong'),
        }),
    ),
    features: z.array(
      z.object({
        key: z
          .string()
          .trim()
          .max(64)
          .regex(FEATURE_KEY, { error: () => t('tiers.form.feature_key_wrong') }),
        config: z
          .string()
          .refine((text) => text.trim() === '' || isJson(text), { error: () => t('tiers.form.feature_config_wrong') }),
      }),
    ),
  })
  .refine((values): boolean => values.price !== null, { path: ['price'], error: () => t('tiers.form.price_required') })

export type TierFormValues = z.infer<typeof tierFormSchema>

/** What a form starts with: the tier as it is, or a new one. */
export function tierFormValues(tier: Tier | null): TierFormValues {
  if (!tier) {
    return {
      name: '',
      description: '',
      price: 0,
      currency: 'USD',
      billing_interval: 'month',
      is_default: false,
      self_service: false,
      caps: [],
      features: [],
    }
  }
  return {
    name: tier.name,
    description: tier.description,
    price: fromMinor(tier.price_minor, tier.currency),
    currency: tier.currency,
    billing_interval: tier.billing_interval,
    is_default: tier.is_default,
    self_service: tier.self_service,
    caps: Object.entries(tier.usage_caps).map(([meter, { rollover, limit, ...cap }]) => ({
      ...cap,
      meter,
      limit: Number(limit),
      rollover_min: rollover ? Number(rollover.min) : null,
      rollover_max: rollover ? Number(rollover.max) : null,
    })),
    features: tier.feature_entitlements.map(({ key, config }) => ({
      key,
      config: config === null || config === undefined ? '' : JSON.stringify(config),
    })),
  }
}

/** An amount as it was sent to us while it is the same: digits that no number holds are not lost by saving something else. */
function exact(value: number, present: number | string | undefined): number | string {
  return present !== undefined && Number(present) === value ? present : value
}

/** The body that the API takes for the values of a form; `tier` is what they began with. */
export function tierBody(values: TierFormValues, tier: Tier | null) {
  const present = (meter: string) => tier?.usage_caps[meter]
  return {
    name: values.name.trim(),
    description: values.description.trim(),
    // As it is shown: to the decimals of the currency.
    price_minor: Math.round((values.price ?? 0) * 10 ** currencyDigits(values.currency)),
    currency: values.currency,
    billing_interval: values.billing_interval,
    is_default: values.is_default,
    self_service: values.self_service,
    usage_caps: Object.fromEntries(
      values.caps.map(({ meter, limit, rollover_min, rollover_max, ...cap }) => [
        meter,
        {
          ...cap,
          limit: exact(limit ?? 0, present(meter)?.limit),
          rollover: rollover_max
            ? {
                min: exact(rollover_min ?? 0, present(meter)?.rollover?.min),
                max: exact(rollover_max, present(meter)?.rollover?.max),
              }
            : null,
        },
      ]),
    ),
    feature_entitlements: values.features.map(({ key, config }) => ({
      key: key.trim(),
      config: config.trim() === '' ? null : (JSON.parse(config) as unknown),
    })),
  }
}

const OF_A_VERSION = ['price_minor', 'currency', 'billing_interval', 'usage_caps', 'feature_entitlements'] as const

/**
 * What of a tier the values of a form change. What makes a new version says which one it was written for, so that
 * nobody takes back the price, caps or features of somebody else without having seen them.
 */
export function tierChange(values: TierFormValues, tier: Tier) {
  const body = tierBody(values, tier)
  const changed = changedFields(body, tierBody(tierFormValues(tier), tier))
  // An amount means something in its currency alone.
  if (changed.currency) changed.price_minor = body.price_minor
  return OF_A_VERSION.some((field) => field in changed) ? { ...changed, if_version: tier.version } : changed
}
