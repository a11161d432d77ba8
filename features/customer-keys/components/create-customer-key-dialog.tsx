'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useForm } from 'react-hook-form'
import { z } from 'zod'
import type { NewCustomerKey } from '@/features/customer-keys/components/customer-key-state'
import { Form, TextField } from '@/libs/ui/form'
import { QuantityField } from '@/libs/ui/form-controls'
import { FormDialog } from '@/libs/ui/form-dialog'
import { t } from '@/libs/ui/messages'
import { useApiFetch } from '@/libs/ui/use-api'

const formSchema = z.object({
  name: z.string().trim().max(255),
  prefix: z
    .string()
    .regex(/^(?!hf(?:_|$))[a-zA-Z0-9][a-zA-Z0-9_]{0,15}$/i, { error: () => t('customer-keys.form.prefix_wrong') }),
  external_id: z.string().trim().max(255),
  permissions: z.string(),
  remaining: z.number().int().min(0).nullable(),
  limit: z.number().int().min(0).nullable(),
  days: z.number().int().min(1).max(3650).nullable(),
})
type Values = z.infer<typeof formSchema>

const STANDARD: Values = {
  name: '',
  prefix: 'key',
  external_id: '',
  permissions: '',
  remaining: null,
  limit: null,
  days: null,
}

function toBody({ name, prefix, external_id, permissions, remaining, limit, days }: Values) {
  return {
    name,
    prefix,
    remaining,
    external_id: external_id || null,
    permissions: permissions.split(/\s+/).filter(Boolean),
    ratelimits: limit === null ? [] : [{ name: 'requests', limit, duration_ms: 60_000, auto_apply: true }],
    expires_at: days === null ? null : new Date(Date.now() + days * 86_400_000).toISOString(),
  }
}

/** Asks for what a customer's key may, and hands the new one over. */
export function CreateCustomerKeyDialog({
  open,
  onOpenChange,
  onCreated,
}: {
  open: boolean
  onOpenChange: (open: boolean) => void
  onCreated: (key: NewCustomerKey) => void
}) {
  return (
    <FormDialog
      open={open}
      onOpenChange={onOpenChange}
      size="lg"
      title={t('customer-keys.form.title')}
      description={t('keys.shown_once')}
      submit={t('customer-keys.create')}
    >
      {(form) => <CreateForm {...form} onCreated={onCreated} />}
    </FormDialog>
  )
}

function CreateForm({
  id,
  onSending,
  onCreated,
}: {
  id: string
  onSending: (sending: boolean) => void
  onCreated: (key: NewCustomerKey) => void
}) {
  const api = useApiFetch()
  const form = useForm<Values>({ resolver: zodResolver(formSchema), defaultValues: STANDARD })

  async function submit(values: Values, options: { idempotencyKey: string }) {
    onSending(true)
    try {
      onCreated(await api<NewCustomerKey>('/customer-keys', { method: 'POST', body: toBody(values), ...options }))
    } finally {
      onSending(false)
    }
  }

  return (
    <Form id={id} form={form} onSubmit={submit} className="gap-5">
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField
          form={form}
          name="name"
          label={t('customer-keys.form.name')}
          hint={t('customer-keys.form.name_hint')}
          maxLength={255}
          autoComplete="off"
        />
        <TextField
          form={form}
          name="prefix"
          label={t('customer-keys.form.prefix')}
          hint={t('customer-keys.form.prefix_hint')}
          maxLength={16}
          autoComplete="off"
          required
        />
        <TextField
          form={form}
          name="external_id"
          label={t('customer-keys.form.external_id')}
          hint={t('customer-keys.form.external_id_hint')}
          maxLength={255}
          autoComplete="off"
        />
        <TextField
          form={form}
          name="permissions"
          label={t('customer-keys.form.permissions')}
          hint={t('customer-keys.form.permissions_hint')}
          autoComplete="off"
        />
      </div>
      <div className="grid gap-4 sm:grid-cols-3">
        <QuantityField
          form={form}
          name="remaining"
          label={t('customer-keys.form.remaining')}
          hint={t('customer-keys.form.remaining_hint')}
        />
        <QuantityField
          form={form}
          name="limit"
          label={t('customer-keys.form.limit')}
          hint={t('customer-keys.form.limit_hint')}
        />
        <QuantityField
          form={form}
          name="days"
          label={t('keys.days')}
          hint={t('customer-keys.form.days_hint')}
          min={1}
          max={3650}
          unit={t('keys.days_unit')}
        />
      </div>
    </Form>
  )
}
