'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useState } from 'react'
import { useForm, useWatch } from 'react-hook-form'
import { CountingFields } from '@/features/meters/components/counting-fields'
import { EMPTY_FILTER, type FilterDraft, readFilter } from '@/features/meters/components/filter-values'
import {
  AGGREGATIONS,
  type Meter,
  type MeterFormValues,
  meterFormSchema,
  meterFormValues,
  newMeterBody,
  suggestSlug,
  takesNegative,
} from '@/features/meters/components/meter-form-values'
import { changedFields } from '@/libs/ui/changed-fields'
import { Checkbox } from '@/libs/ui/checkbox'
import { FieldGroup } from '@/libs/ui/field'
import { Form, TextField } from '@/libs/ui/form'
import { t } from '@/libs/ui/messages'
import { pointProblem } from '@/libs/ui/point-problem'
import { RadioGroup } from '@/libs/ui/radio-group'
import { toast } from '@/libs/ui/toast'
import { useApiFetch } from '@/libs/ui/use-api'

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
  // What it was when the form was opened: the row may be read anew meanwhile.
  const [opened] = useState(meter)
  const form = useForm<MeterFormValues>({
    resolver: zodResolver(meterFormSchema),
    defaultValues: meterFormValues(meter),
  })
  const [filter, setFilter] = useState<FilterDraft>(EMPTY_FILTER)
  const [paths, setPaths] = useState<Record<string, string>>({})
  const [checked, setChecked] = useState(false)
  const [aggregation, allowsNegative] = useWatch({ control: form.control, name: ['aggregation', 'allows_negative'] })
  const reading = readFilter(filter)

  async function submit(values: MeterFormValues, options: { idempotencyKey: string }) {
    setChecked(true)
    if ('faults' in reading) {
      requestAnimationFrame(() =>
        document.getElementById(id)?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus(),
      )
      return
    }
    onSending(true)
    const { name, unit, description, allows_negative } = values
    const details = { name, unit, description, allows_negative }
    try {
      const saved = await api<Meter>(opened ? `/meters/${opened.id}` : '/meters', {
        method: opened ? 'PATCH' : 'POST',
        body: opened ? changedFields(details, opened) : newMeterBody(values, reading.filter, paths),
        ...options,
      })
      toast.success(t(meter ? 'meters.saved' : 'meters.created', { name: saved.name }))
      onSaved(saved)
    } catch (error) {
      throw pointProblem(error, 'conflict', '/slug', t('meters.form.slug_taken'))
    } finally {
      onSending(false)
    }
  }

  return (
    <Form
      id={id}
      form={form}
      onSubmit={submit}
      typed={filter.rows.length > 0 || filter.json.trim() !== '' || Object.keys(paths).length > 0}
    >
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
          form.setValue('slug', suggestSlug(event.currentTarget.value), {
            shouldValidate: form.formState.isSubmitted,
          })
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
            // A level must be able to fall; for the others it is said only when somebody wants it.
            if (!form.getFieldState('allows_negative').isDirty)
              form.setValue('allows_negative', value === 'WEIGHTED_SUM')
          }}
          className="sm:grid sm:grid-cols-2"
        />
      </FieldGroup>
      {meter ? null : (
        <CountingFields
          form={form}
          filter={filter}
          faults={checked && 'faults' in reading ? reading.faults : []}
          paths={paths}
          onFilter={setFilter}
          onPaths={setPaths}
        />
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
      {takesNegative(aggregation) ? (
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
