import { z } from 'zod'
import type { meter } from '@/features/meters/schema'
import { slugOf } from '@/libs/ingest/slug'
import type { MeterFilter } from '@/libs/metering/meter-filter'
import { t } from '@/libs/ui/messages'

export type Meter = z.infer<typeof meter>

export const AGGREGATIONS = ['SUM', 'COUNT', 'UNIQUE_COUNT', 'MIN', 'MAX', 'AVG', 'LATEST', 'WEIGHTED_SUM'] as const
/** Those that take a value which may be below zero. */
const OF_VALUES: ReadonlySet<string> = new Set(['SUM', 'MIN', 'MAX', 'AVG', 'LATEST', 'WEIGHTED_SUM'])

const SLUG = /^[a-z0-9]+([_-][a-z0-9]+)*$/
const LONGEST_PROPERTY = 128

export const meterFormSchema = z
  .object({
    name: z
      .string()
      .trim()
      .min(1, { error: () => t('meters.form.name_required') }),
    slug: z
      .string()
      .trim()
      .min(1, { error: () => t('meters.form.slug_required') })
      .regex(SLUG, { error: () => t('meters.form.slug_wrong') }),
    aggregation: z.enum(AGGREGATIONS),
    value_property: z.string().trim().max(LONGEST_PROPERTY),
    group_by: z.string(),
    event_type: z.string().trim().max(255),
    unit: z.string().trim().max(32),
    description: z.string().trim().max(2000),
    allows_negative: z.boolean(),
  })
  .superRefine(({ aggregation, value_property, group_by }, context) => {
    const fault = (path: string, key: 'value_property_required' | 'group_by_many' | 'group_by_long') =>
      context.addIssue({ code: 'custom', path: [path], message: t(`meters.form.${key}`) })
    if (aggregation === 'UNIQUE_COUNT' && value_property === '') fault('value_property', 'value_property_required')
    const keys = readList(group_by)
    if (keys.length > 5) fault('group_by', 'group_by_many')
    if (keys.some((key) => key.length > LONGEST_PROPERTY)) fault('group_by', 'group_by_long')
  })

export type MeterFormValues = z.infer<typeof meterFormSchema>

/** Whether a value below zero means anything to an aggregation. */
export function takesNegative(aggregation: string): boolean {
  return OF_VALUES.has(aggregation)
}

/** What calls name a meter by, from its name: `Images rendered (HD)` as `images_rendered_hd`. */
export function suggestSlug(name: string): string {
  return slugOf(name.replaceAll('ß', 'ss'))
}

/** Words with commas between them, each once. */
export function readList(text: string): string[] {
  const words = text.split(',').map((word) => word.trim())
  return [...new Set(words.filter(Boolean))]
}

/** What a form starts with: the meter as it is, or a new one. */
export function meterFormValues(meter: Meter | null): MeterFormValues {
  return {
    name: meter?.name ?? '',
    slug: meter?.slug ?? '',
    aggregation: meter?.aggregation ?? 'SUM',
    unit: meter?.unit ?? '',
    description: meter?.description ?? '',
    value_property: meter?.value_property ?? '',
    group_by: meter?.group_by.join(', ') ?? '',
    event_type: meter?.event_type ?? '',
    allows_negative: meter?.allows_negative ?? false,
  }
}

/** The body that makes a meter. Paths of properties it is not grouped by any more are left out. */
export function newMeterBody(values: MeterFormValues, filter: MeterFilter | null, paths: Record<string, string>) {
  const { aggregation } = values
  const group_by = readList(values.group_by)
  const property_paths = Object.fromEntries(
    group_by.flatMap((key) => {
      const path = paths[key]?.trim()
      return path && path !== key ? [[key, path]] : []
    }),
  )
  return {
    ...values,
    value_property: aggregation === 'COUNT' ? null : values.value_property || null,
    group_by,
    filter,
    event_type: values.event_type || null,
    allows_negative: takesNegative(aggregation) && values.allows_negative,
    ...(Object.keys(property_paths).length > 0 ? { property_paths } : {}),
  }
}
