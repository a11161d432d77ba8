'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useState } from 'react'
import { useForm, useWatch } from 'react-hook-form'
import { z } from 'zod'
import type { Alert } from '@/features/alerts/components/alert-text'
import type { Page } from '@/libs/ui/api-client'
import { changedFields } from '@/libs/ui/changed-fields'
import { Checkbox } from '@/libs/ui/checkbox'
import { FieldGroup } from '@/libs/ui/field'
import { ControlledField, Form, TextField } from '@/libs/ui/form'
import { SelectField } from '@/libs/ui/form-controls'
import { t } from '@/libs/ui/messages'
import { Select } from '@/libs/ui/select'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch } from '@/libs/ui/use-api'

const KINDS = ['usage_percent', 'usage', 'remaining_percent', 'remaining'] as const
const TELLS = ['tells_admins', 'tells_customer', 'tells_connectors'] as const
const DECIMAL = /^\d{1,30}(\.\d{1,20})?$/

const formSchema = z.object({
  name: z
    .string()
    .trim()
    .min(1, { error: () => t('alerts.form.name_required') }),
  meter: z.string().min(1, { error: () => t('alerts.form.meter_required') }),
  customer: z.string().trim().max(255),
  kind: z.enum(KINDS),
  threshold: z
    .string()
    .trim()
    .regex(DECIMAL, { error: () => t('alerts.form.threshold_required') }),
  recurring_every: z
    .string()
    .trim()
    .refine((text) => text === '' || (DECIMAL.test(text) && Number(text) > 0), {
      error: () => t('alerts.form.recurring_wrong'),
    }),
  tells_admins: z.boolean(),
  tells_customer: z.boolean(),
  tells_connectors: z.boolean(),
})

type Values = z.infer<typeof formSchema>
type MeterChoice = { id: string; slug: string; name: string; aggregation: string }

/** What a form starts with: the rule as it is, or a new one. */
function startOf(rule: Alert | null): Values {
  return {
    name: rule?.name ?? '',
    meter: rule?.meter.slug ?? '',
    customer: rule?.customer?.external_id ?? '',
    kind: rule?.kind ?? 'usage_percent',
    threshold: rule ? String(rule.threshold) : '80',
    recurring_every: rule?.recurring_every == null ? '' : String(rule.recurring_every),
    tells_admins: rule?.tells_admins ?? true,
    tells_customer: rule?.tells_customer ?? false,
    tells_connectors: rule?.tells_connectors ?? true,
  }
}

/** What of a rule can be changed, as the API takes it. */
function detailsOf({ meter: _meter, customer: _customer, kind: _kind, recurring_every, ...fields }: Values) {
  return { ...fields, recurring_every: recurring_every || null }
}

/** The fields of a rule. What it watches is asked for a new one alone. */
export function AlertForm({
  id,
  rule,
  onSending,
  onSaved,
}: {
  id: string
  rule: Alert | null
  onSending: (sending: boolean) => void
  onSaved: (rule: Alert) => void
}) {
  const api = useApiFetch()
  const meters = useApi<Page<MeterChoice>>(rule ? null : '/meters?limit=200', { whole: true })
  const [start] = useState(() => startOf(rule))
  const form = useForm<Values>({ resolver: zodResolver(formSchema), defaultValues: start })
  const values = useWatch({ control: form.control })

  async function submit(values: Values, options: { idempotencyKey: string }) {
    onSending(true)
    const { meter, customer, kind } = values
    const details = detailsOf(values)
    try {
      const saved = await api<Alert>(rule ? `/alerts/${rule.id}` : '/alerts', {
        method: rule ? 'PATCH' : 'POST',
        body: rule ? changedFields(details, detailsOf(start)) : { ...details, meter, kind, customer: customer || null },
        ...options,
      })
      toast.success(t(rule ? 'alerts.saved' : 'alerts.created', { name: saved.name }))
      onSaved(saved)
    } finally {
      onSending(false)
    }
  }

  const choices = rule
    ? [{ value: rule.meter.slug, label: rule.meter.name }]
    : (meters.data?.data ?? [])
        .filter(({ aggregation }) => aggregation !== 'WEIGHTED_SUM')
        .map(({ slug, name }) => ({ value: slug, label: name }))
  return (
    <Form id={id} form={form} onSubmit={submit}>
      <TextField
        form={form}
        name="name"
        label={t('alerts.form.name')}
        placeholder={t('alerts.form.name_example')}
        maxLength={120}
        autoComplete="off"
        required
      />
      <div className="grid gap-4 sm:grid-cols-2">
        <ControlledField form={form} name="meter" label={t('alerts.form.meter')} required>
          {(field) => (
            <Select
              options={choices}
              value={field.value || null}
              onValueChange={field.onChange}
              onBlur={field.onBlur}
              ref={field.ref}
              placeholder={t('alerts.form.meter_choose')}
              disabled={rule !== null}
            />
          )}
        </ControlledField>
        <TextField
          form={form}
          name="customer"
          label={t('alerts.form.customer')}
          hint={t('alerts.form.customer_hint')}
          disabled={rule !== null}
          maxLength={255}
          spellCheck={false}
          autoCapitalize="none"
          autoComplete="off"
          optional
        />
      </div>
      <SelectField
        form={form}
        name="kind"
        label={t('alerts.form.kind')}
        options={KINDS.map((value) => ({ value, label: t(`alerts.kind.${value}`) }))}
        disabled={rule !== null}
      />
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField
          form={form}
          name="threshold"
          label={t('alerts.form.threshold')}
          inputMode="decimal"
          autoComplete="off"
          required
        />
        <TextField
          form={form}
          name="recurring_every"
          label={t('alerts.form.recurring')}
          hint={t('alerts.form.recurring_hint')}
          inputMode="decimal"
          autoComplete="off"
          optional
        />
      </div>
      <FieldGroup legend={t('alerts.form.tells')}>
        {TELLS.map((name) => (
          <Checkbox
            key={name}
            checked={values[name] ?? false}
            onCheckedChange={(on) => form.setValue(name, on, { shouldDirty: true })}
            label={t(`alerts.form.${name}`)}
          />
        ))}
      </FieldGroup>
    </Form>
  )
}
