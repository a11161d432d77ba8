'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useState } from 'react'
import { useForm } from 'react-hook-form'
import { z } from 'zod'
import type { override as overrideSchema } from '@/features/rate-limits/schema'
import { changedFields } from '@/libs/ui/changed-fields'
import { Form, TextField } from '@/libs/ui/form'
import { QuantityField, SelectField } from '@/libs/ui/form-controls'
import { FormDialog } from '@/libs/ui/form-dialog'
import { t } from '@/libs/ui/messages'
import { useApiFetch } from '@/libs/ui/use-api'

export type Override = z.infer<typeof overrideSchema>

const SPANS = { second: 1_000, minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const
const UNITS = ['second', 'minute', 'hour', 'day'] as const

/** A span of time in the largest unit that fits without a rest. */
export function formatSpan(ms: number): string {
  if (ms % SPANS.day === 0) return t('rate-limits.days', { count: ms / SPANS.day })
  if (ms % SPANS.hour === 0) return t('rate-limits.hours', { count: ms / SPANS.hour })
  if (ms % SPANS.minute === 0) return t('rate-limits.minutes', { count: ms / SPANS.minute })
  if (ms % SPANS.second === 0) return t('rate-limits.seconds', { count: ms / SPANS.second })
  return t('rate-limits.milliseconds', { count: ms })
}

const formSchema = z.object({
  namespace: z
    .string()
    .min(1, { error: () => t('rate-limits.form.required') })
    .max(255),
  identifier: z
    .string()
    .min(1, { error: () => t('rate-limits.form.required') })
    .max(255),
  limit: z
    .number({ error: () => t('rate-limits.form.required') })
    .int()
    .min(0),
  duration: z.string(),
})
type Values = z.infer<typeof formSchema>

/** Sets an override, or changes what the one that is given allows. */
export function OverrideDialog({
  open,
  override,
  onOpenChange,
  onSaved,
}: {
  open: boolean
  override: Override | null
  onOpenChange: (open: boolean) => void
  onSaved: () => void
}) {
  return (
    <FormDialog
      open={open}
      onOpenChange={onOpenChange}
      title={t(override ? 'rate-limits.form.edit_title' : 'rate-limits.form.new_title')}
      submit={t(override ? 'ui.save' : 'rate-limits.create')}
    >
      {(form) => <OverrideForm {...form} override={override} onSaved={onSaved} />}
    </FormDialog>
  )
}

function OverrideForm({
  id,
  override,
  onSending,
  onSaved,
}: {
  id: string
  override: Override | null
  onSending: (sending: boolean) => void
  onSaved: () => void
}) {
  const api = useApiFetch()
  // What it was when the form was opened: the row may be read anew meanwhile.
  const [opened] = useState(override)
  const form = useForm<Values>({
    resolver: zodResolver(formSchema),
    defaultValues: {
      namespace: override?.namespace ?? '',
      identifier: override?.identifier ?? '',
      limit: override?.limit ?? 100,
      duration: String(override?.duration ?? SPANS.minute),
    },
  })
  const usual = UNITS.map((unit) => ({ value: String(SPANS[unit]), label: t(`rate-limits.form.${unit}`) }))
  const isUsual = !override || usual.some(({ value }) => value === String(override.duration))
  const spans = isUsual ? usual : [...usual, { value: String(override.duration), label: formatSpan(override.duration) }]

  async function submit(values: Values, options: { idempotencyKey: string }) {
    onSending(true)
    const body = { limit: values.limit, duration: Number(values.duration) }
    try {
      if (opened) {
        const changed = changedFields(body, opened)
        if (Object.keys(changed).length > 0)
          await api(`/rate-limits/overrides/${opened.id}`, { method: 'PATCH', body: changed, ...options })
      } else await api('/rate-limits/overrides', { method: 'POST', body: { ...values, ...body }, ...options })
      onSaved()
    } finally {
      onSending(false)
    }
  }

  return (
    <Form id={id} form={form} onSubmit={submit} className="gap-5">
      <TextField
        form={form}
        name="namespace"
        label={t('rate-limits.form.namespace')}
        hint={t('rate-limits.form.namespace_hint')}
        maxLength={255}
        autoComplete="off"
        disabled={override !== null}
        required
      />
      <TextField
        form={form}
        name="identifier"
        label={t('rate-limits.form.identifier')}
        hint={t('rate-limits.form.identifier_hint')}
        maxLength={255}
        autoComplete="off"
        disabled={override !== null}
        required
      />
      <div className="grid gap-4 sm:grid-cols-2">
        <QuantityField
          form={form}
          name="limit"
          label={t('rate-limits.form.limit')}
          hint={t('rate-limits.form.limit_hint')}
          required
        />
        <SelectField form={form} name="duration" label={t('rate-limits.form.span')} options={spans} />
      </div>
    </Form>
  )
}
