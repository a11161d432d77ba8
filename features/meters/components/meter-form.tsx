'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useState } from 'react'
import { useForm, useWatch } from 'react-hook-form'
import { z } from 'zod'
import { FilterEditor, type FilterRows, toFilter } from '@/features/meters/components/filter-editor'
import type { meter } from '@/features/meters/schema'
import { Checkbox } from '@/libs/ui/checkbox'
import { FieldGroup } from '@/libs/ui/field'
import { Form, TextField } from '@/libs/ui/form'
import { t } from '@/libs/ui/messages'
import { RadioGroup } from '@/libs/ui/radio-group'
import { toast } from '@/libs/ui/toast'
import { useApiFetch } from '@/libs/ui/use-api'

export type Meter = z.infer<typeof meter>

const AGGREGATIONS = ['SUM', 'COUNT', 'UNIQUE_COUNT', 'MIN', 'MAX', 'AVG', 'LATEST', 'WEIGHTED_SUM'] as const
/** Those that take a value which may be below zero. */
const OF_VALUES: ReadonlySet<string> = new Set(['SUM', 'MIN', 'MAX', 'AVG', 'LATEST', 'WEIGHTED_SUM'])

const SLUG = /^[a-z0-9]+([_-][a-z0-9]+)*$/

const formSchema = z
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
    value_property: z.string().trim().max(128),
    group_by: z.string(),
    event_type: z.string().trim().max(255),
    unit: z.string().max(32),
    description: z.string().max(2000),
    allows_negative: z.boolean(),
  })
  .superRefine(({ aggregation, value_property, group_by }, context) => {
    const fault = (path: string, key: 'value_property_required' | 'group_by_many') =>
      context.addIssue({ code: 'custom', path: [path], message: t(`meters.form.${key}`) })
    if (aggregation === 'UNIQUE_COUNT' && value_property === '') fault('value_property', 'value_property_required')
    if (readList(group_by).length > 5) fault('group_by', 'group_by_many')
  })

type Values = z.infer<typeof formSchema>

/** `Images rendered (HD)` as `images_rendered_hd`: what calls name a meter by. */
export function slugOf(name: string): string {
  return name
    .replaceAll('ß', 'ss')
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replaceAll(/^_+|_+$/g, '')
    .slice(0, 64)
}

const readList = (text: string): string[] => [
  ...new Set(
    text
      .split(',')
      .map((word) => word.trim())
      .filter(Boolean),
  ),
]

/** The fields of the dialog. What counters rest on is asked for a new meter alone. */
export function MeterForm({
  id,
  meter,
  onSending,
  onSaved,
}: {
  id: string
  meter: Meter | null
  onSending: (sending: boolean) => void
  onSaved: (meter: Meter) => void
}) {
  const api = useApiFetch()
  const form = useForm<Values>({
    resolver: zodResolver(formSchema),
    defaultValues: {
      name: meter?.name ?? '',
      slug: meter?.slug ?? '',
      aggregation: meter?.aggregation ?? 'SUM',
      unit: meter?.unit ?? '',
      description: meter?.description ?? '',
      value_property: meter?.value_property ?? '',
      group_by: meter?.group_by.join(', ') ?? '',
      event_type: meter?.event_type ?? '',
      allows_negative: meter?.allows_negative ?? false,
    },
  })
  const [filter, setFilter] = useState<FilterRows>({ join: 'and', rows: [] })
  const [aggregation, allowsNegative] = useWatch({ control: form.control, name: ['aggregation', 'allows_negative'] })

  async function submit(values: Values, options: { idempotencyKey: string }) {
    onSending(true)
    const { name, unit, description, allows_negative } = values
    const body = meter
      ? { name, unit, description, allows_negative }
      : {
          ...values,
          value_property: values.aggregation === 'COUNT' ? null : values.value_property || null,
          group_by: readList(values.group_by),
          filter: toFilter(filter),
          event_type: values.event_type || null,
        }
    try {
      const saved = await api<Meter>(meter ? `/meters/${meter.id}` : '/meters', {
        method: meter ? 'PATCH' : 'POST',
        body,
        ...options,
      })
      toast.success(t(meter ? 'meters.saved' : 'meters.created', { name: saved.name }))
      onSaved(saved)
    } finally {
      onSending(false)
    }
  }

  return (
    <Form id={id} form={form} onSubmit={submit}>
      <TextField
        form={form}
        name="name"
        label={t('meters.form.name')}
        placeholder={t('meters.form.name_example')}
        maxLength={120}
        autoComplete="off"
        required
        onInput={(event) => {
          if (meter || form.getFieldState('slug').isDirty) return
          form.setValue('slug', slugOf(event.currentTarget.value))
        }}
      />
      <TextField
        form={form}
        name="slug"
        label={t('meters.form.slug')}
        hint={t(meter ? 'meters.form.slug_fixed' : 'meters.form.slug_hint')}
        maxLength={64}
        disabled={meter !== null}
        spellCheck={false}
        autoCapitalize="none"
        autoComplete="off"
        required
      />
      <FieldGroup legend={t('meters.form.aggregation')} hint={meter ? t('meters.form.aggregation_fixed') : undefined}>
        <RadioGroup
          cards
          label={t('meters.form.aggregation')}
          disabled={meter !== null}
          options={AGGREGATIONS.map((value) => ({
            value,
            label: t(`meters.aggregation.${value}`),
            description: t(`meters.aggregation.${value}_hint`),
          }))}
          value={aggregation}
          onValueChange={(value) => {
            form.setValue('aggregation', value)
            if (value === 'WEIGHTED_SUM') form.setValue('allows_negative', true)
          }}
          className="sm:grid sm:grid-cols-2"
        />
      </FieldGroup>
      {meter ? null : (
        <>
          {aggregation === 'COUNT' ? null : (
            <TextField
              form={form}
              name="value_property"
              label={t('meters.form.value_property')}
              hint={t(`meters.form.value_property_${aggregation === 'UNIQUE_COUNT' ? 'unique' : 'hint'}`)}
              maxLength={128}
              spellCheck={false}
              autoCapitalize="none"
              autoComplete="off"
              {...(aggregation === 'UNIQUE_COUNT' ? { required: true } : { optional: true })}
            />
          )}
          <FieldGroup legend={t('meters.form.filter')} hint={t('meters.form.filter_hint')}>
            <FilterEditor value={filter} onChange={setFilter} />
          </FieldGroup>
          <TextField
            form={form}
            name="group_by"
            label={t('meters.form.group_by')}
            hint={t('meters.form.group_by_hint')}
            placeholder={t('meters.form.group_by_example')}
            spellCheck={false}
            autoCapitalize="none"
            autoComplete="off"
            optional
          />
          <TextField
            form={form}
            name="event_type"
            label={t('meters.form.event_type')}
            hint={t('meters.form.event_type_hint')}
            maxLength={255}
            spellCheck={false}
            autoCapitalize="none"
            autoComplete="off"
            optional
          />
        </>
      )}
      <TextField
        form={form}
        name="unit"
        label={t('meters.form.unit')}
        hint={t('meters.form.unit_hint')}
        maxLength={32}
        autoComplete="off"
        optional
      />
      <TextField
        form={form}
        name="description"
        label={t('meters.form.description')}
        kind="text"
        rows={2}
        maxLength={2000}
        optional
      />
      {OF_VALUES.has(aggregation) ? (
        <Checkbox
          checked={allowsNegative}
          onCheckedChange={(on) => form.setValue('allows_negative', on, { shouldDirty: true })}
          label={t('meters.form.allows_negative')}
          description={t('meters.form.allows_negative_hint')}
        />
      ) : null}
    </Form>
  )
}
