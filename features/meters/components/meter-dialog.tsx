'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useId, useState } from 'react'
import { useForm, useWatch } from 'react-hook-form'
import { z } from 'zod'
import type { meter } from '@/features/meters/schema'
import { Button } from '@/libs/ui/button'
import { Checkbox } from '@/libs/ui/checkbox'
import { Dialog } from '@/libs/ui/dialog'
import { FieldGroup } from '@/libs/ui/field'
import { Form, TextField } from '@/libs/ui/form'
import { t } from '@/libs/ui/messages'
import { RadioGroup } from '@/libs/ui/radio-group'
import { toast } from '@/libs/ui/toast'
import { useApiFetch } from '@/libs/ui/use-api'

export type Meter = z.infer<typeof meter>

const SLUG = /^[a-z0-9]+([_-][a-z0-9]+)*$/

const formSchema = z.object({
  name: z
    .string()
    .trim()
    .min(1, { error: () => t('meters.form.name_required') }),
  slug: z
    .string()
    .trim()
    .min(1, { error: () => t('meters.form.slug_required') })
    .regex(SLUG, { error: () => t('meters.form.slug_wrong') }),
  aggregation: z.enum(['SUM', 'COUNT']),
  unit: z.string().max(32),
  description: z.string().max(2000),
  allows_negative: z.boolean(),
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

/** Creates a meter, or changes what can be changed of the one that is given. */
export function MeterDialog({
  open,
  meter,
  onOpenChange,
  onSaved,
}: {
  open: boolean
  meter: Meter | null
  onOpenChange: (open: boolean) => void
  onSaved: (meter: Meter) => void
}) {
  const formId = useId()
  const [sending, setSending] = useState(false)
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title={t(meter ? 'meters.form.edit_title' : 'meters.form.new_title')}
      description={meter ? undefined : t('meters.form.new_description')}
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>{t('ui.cancel')}</Button>
          <Button type="submit" form={formId} variant="primary" loading={sending}>
            {t(meter ? 'ui.save' : 'meters.create')}
          </Button>
        </>
      }
    >
      <MeterForm id={formId} meter={meter} onSending={setSending} onSaved={onSaved} />
    </Dialog>
  )
}

function MeterForm({
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
      allows_negative: meter?.allows_negative ?? false,
    },
  })
  const [aggregation, allowsNegative] = useWatch({ control: form.control, name: ['aggregation', 'allows_negative'] })

  async function submit(values: Values, options: { idempotencyKey: string }) {
    onSending(true)
    const { name, unit, description, allows_negative } = values
    const body = meter ? { name, unit, description, allows_negative } : values
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
          options={(['SUM', 'COUNT'] as const).map((value) => ({
            value,
            label: t(`meters.aggregation.${value}`),
            description: t(`meters.aggregation.${value}_hint`),
          }))}
          value={aggregation}
          onValueChange={(value) => form.setValue('aggregation', value)}
          className="sm:grid sm:grid-cols-2"
        />
      </FieldGroup>
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
      {aggregation === 'SUM' ? (
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
