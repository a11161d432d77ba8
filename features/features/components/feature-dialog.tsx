'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useId, useState } from 'react'
import { useForm } from 'react-hook-form'
import { z } from 'zod'
import type { Feature } from '@/features/features/components/use-archive-feature'
import { slugOf } from '@/libs/ingest/slug'
import type { Page } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { Dialog } from '@/libs/ui/dialog'
import { ControlledField, Form, TextField } from '@/libs/ui/form'
import { t } from '@/libs/ui/messages'
import { pointProblem } from '@/libs/ui/point-problem'
import { Select } from '@/libs/ui/select'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch } from '@/libs/ui/use-api'

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

/** Names a feature; `startKey` is what its key begins with, such as one that a tier uses already. */
export function FeatureDialog({
  open,
  startKey,
  onOpenChange,
  onSaved,
}: {
  open: boolean
  startKey: string
  onOpenChange: (open: boolean) => void
  onSaved: (feature: Feature) => void
}) {
  const formId = useId()
  const [sending, setSending] = useState(false)
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title={t('features.form.new_title')}
      description={t('features.form.new_description')}
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>{t('ui.cancel')}</Button>
          <Button type="submit" form={formId} variant="primary" loading={sending}>
            {t('features.create')}
          </Button>
        </>
      }
    >
      <FeatureForm id={formId} startKey={startKey} onSending={setSending} onSaved={onSaved} />
    </Dialog>
  )
}

/** `custom_domain` as `Custom domain`: a name to begin with. */
function nameOf(key: string): string {
  const words = key.replaceAll(/[._-]+/g, ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

function FeatureForm({
  id,
  startKey,
  onSending,
  onSaved,
}: {
  id: string
  startKey: string
  onSending: (sending: boolean) => void
  onSaved: (feature: Feature) => void
}) {
  const api = useApiFetch()
  const meters = useApi<Page<{ slug: string; name: string }>>('/meters?limit=200')
  const form = useForm<Values>({
    resolver: zodResolver(formSchema),
    defaultValues: { name: nameOf(startKey), key: startKey, meter: NO_METER, metadata: '' },
  })

  async function submit({ name, key, meter, metadata }: Values, options: { idempotencyKey: string }) {
    onSending(true)
    try {
      const body = { name, key, meter: meter || null, metadata: metadata === '' ? {} : JSON.parse(metadata) }
      const saved = await api<Feature>('/features', { method: 'POST', body, ...options })
      toast.success(t('features.created', { name: saved.name }))
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
          if (startKey || form.getFieldState('key').isDirty) return
          form.setValue('key', slugOf(event.currentTarget.value))
        }}
      />
      <TextField
        form={form}
        name="key"
        label={t('features.form.key')}
        hint={t('features.form.key_hint')}
        maxLength={64}
        spellCheck={false}
        autoCapitalize="none"
        autoComplete="off"
        required
      />
      <ControlledField form={form} name="meter" label={t('features.form.meter')} hint={t('features.form.meter_hint')}>
        {(field) => (
          <Select
            options={[
              { value: NO_METER, label: t('features.no_meter') },
              ...(meters.data?.data ?? []).map(({ slug, name }) => ({ value: slug, label: name, description: slug })),
            ]}
            value={field.value}
            onValueChange={field.onChange}
            onBlur={field.onBlur}
            ref={field.ref}
          />
        )}
      </ControlledField>
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
