'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useState } from 'react'
import { useForm } from 'react-hook-form'
import { z } from 'zod'
import type { Feature } from '@/features/features/components/use-archive-feature'
import { slugOf } from '@/libs/ingest/slug'
import type { Page } from '@/libs/ui/api-client'
import { changedFields } from '@/libs/ui/changed-fields'
import { Form, TextField } from '@/libs/ui/form'
import { SelectField } from '@/libs/ui/form-controls'
import { FormDialog } from '@/libs/ui/form-dialog'
import { t } from '@/libs/ui/messages'
import { pointProblem } from '@/libs/ui/point-problem'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch } from '@/libs/ui/use-api'
import { toWords } from '@/libs/ui/words'

const KEY = /^[a-z0-9]+([._-][a-z0-9]+)*$/
const NO_METER = ''

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

const formSchema = z.object({
  name: z
    .string()
    .trim()
    .min(1, { error: () => t('features.form.name_required') }),
  key: z
    .string()
    .trim()
    .min(1, { error: () => t('features.form.key_required') })
    .regex(KEY, { error: () => t('features.form.key_wrong') }),
  meter: z.string(),
  metadata: z
    .string()
    .trim()
    .refine((text) => text === '' || isObject(text), { error: () => t('features.form.metadata_wrong') }),
})
type Values = z.infer<typeof formSchema>

/** Names a feature, or changes what can be changed of the one that is given; `startKey` is what a new key begins with. */
export function FeatureDialog({
  open,
  feature,
  startKey,
  onOpenChange,
  onSaved,
}: {
  open: boolean
  feature: Feature | null
  startKey: string
  onOpenChange: (open: boolean) => void
  onSaved: (feature: Feature) => void
}) {
  return (
    <FormDialog
      open={open}
      onOpenChange={onOpenChange}
      title={t(feature ? 'features.form.edit_title' : 'features.form.new_title')}
      description={feature ? undefined : t('features.form.new_description')}
      submit={t(feature ? 'ui.save' : 'features.create')}
    >
      {(form) => <FeatureForm {...form} feature={feature} startKey={startKey} onSaved={onSaved} />}
    </FormDialog>
  )
}

const textOf = (metadata: Feature['metadata']): string =>
  Object.keys(metadata).length > 0 ? JSON.stringify(metadata, null, 2) : ''

function FeatureForm({
  id,
  feature,
  startKey,
  onSending,
  onSaved,
}: {
  id: string
  feature: Feature | null
  startKey: string
  onSending: (sending: boolean) => void
  onSaved: (feature: Feature) => void
}) {
  const api = useApiFetch()
  // What it was when the form was opened: the row may be read anew meanwhile.
  const [opened] = useState(feature)
  const meters = useApi<Page<{ slug: string; name: string }>>(feature ? null : '/meters?limit=200', { whole: true })
  const form = useForm<Values>({
    resolver: zodResolver(formSchema),
    defaultValues: feature
      ? { name: feature.name, key: feature.key, meter: NO_METER, metadata: textOf(feature.metadata) }
      : { name: toWords(startKey), key: startKey, meter: NO_METER, metadata: '' },
  })

  async function submit({ name, key, meter, metadata }: Values, options: { idempotencyKey: string }) {
    onSending(true)
    try {
      const details = { name, metadata: metadata === '' ? {} : JSON.parse(metadata) }
      const saved = await api<Feature>(opened ? `/features/${opened.id}` : '/features', {
        method: opened ? 'PATCH' : 'POST',
        body: opened ? changedFields(details, opened) : { ...details, key, meter: meter || null },
        ...options,
      })
      toast.success(t(feature ? 'features.saved' : 'features.created', { name: saved.name }))
      onSaved(saved)
    } catch (error) {
      throw pointProblem(error, 'conflict', '/key', t('features.form.key_taken'))
    } finally {
      onSending(false)
    }
  }

  return (
    <Form id={id} form={form} onSubmit={submit}>
      <TextField
        form={form}
        name="name"
        label={t('features.form.name')}
        placeholder={t('features.form.name_example')}
        maxLength={200}
        autoComplete="off"
        required
        onInput={(event) => {
          if (feature || startKey || form.getFieldState('key').isDirty) return
          form.setValue('key', slugOf(event.currentTarget.value), { shouldValidate: form.formState.isSubmitted })
        }}
      />
      <TextField
        form={form}
        name="key"
        label={t('features.form.key')}
        hint={t(feature ? 'features.form.key_fixed' : 'features.form.key_hint')}
        maxLength={64}
        disabled={feature !== null}
        spellCheck={false}
        autoCapitalize="none"
        autoComplete="off"
        required
      />
      {feature ? null : (
        <SelectField
          form={form}
          name="meter"
          label={t('features.form.meter')}
          hint={t('features.form.meter_hint')}
          options={[
            { value: NO_METER, label: t('features.no_meter') },
            ...(meters.data?.data ?? []).map(({ slug, name }) => ({ value: slug, label: name, description: slug })),
          ]}
        />
      )}
      <TextField
        form={form}
        name="metadata"
        kind="text"
        rows={3}
        label={t('features.form.metadata')}
        hint={t('features.form.metadata_hint')}
        placeholder={'{"group": "Security"}'}
        maxLength={8192}
        optional
      />
    </Form>
  )
}
