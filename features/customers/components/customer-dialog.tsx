'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useState } from 'react'
import { useForm } from 'react-hook-form'
import { z } from 'zod'
import type { customer } from '@/features/customers/schema'
import type { Page } from '@/libs/ui/api-client'
import { changedFields } from '@/libs/ui/changed-fields'
import { Form, TextField } from '@/libs/ui/form'
import { SelectField } from '@/libs/ui/form-controls'
import { FormDialog } from '@/libs/ui/form-dialog'
import { t } from '@/libs/ui/messages'
import { pointProblem } from '@/libs/ui/point-problem'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch } from '@/libs/ui/use-api'

export type Customer = z.infer<typeof customer>

export type TierChoice = { id: string; slug: string; name: string; is_default: boolean; archived_at: string | null }

const NONE = 'default'

const formSchema = z.object({
  external_id: z
    .string()
    .trim()
    .min(1, { error: () => t('customers.form.external_id_required') })
    .max(255),
  name: z.string().max(200),
  email: z.union([z.literal(''), z.email({ error: () => t('customers.form.email_wrong') })]),
  tier: z.string(),
})

type Values = z.infer<typeof formSchema>

/** Adds a customer, or changes name and e-mail of the one that is given. */
export function CustomerDialog({
  open,
  customer,
  onOpenChange,
  onSaved,
}: {
  open: boolean
  customer: Customer | null
  onOpenChange: (open: boolean) => void
  onSaved: (customer: Customer) => void
}) {
  return (
    <FormDialog
      open={open}
      onOpenChange={onOpenChange}
      title={t(customer ? 'customers.form.edit_title' : 'customers.form.new_title')}
      description={customer ? undefined : t('customers.form.new_description')}
      submit={t(customer ? 'ui.save' : 'customers.create')}
    >
      {(form) => <CustomerForm {...form} customer={customer} onSaved={onSaved} />}
    </FormDialog>
  )
}

function CustomerForm({
  id,
  customer,
  onSending,
  onSaved,
}: {
  id: string
  customer: Customer | null
  onSending: (sending: boolean) => void
  onSaved: (customer: Customer) => void
}) {
  const api = useApiFetch()
  // What it was when the form was opened: the row may be read anew meanwhile.
  const [opened] = useState(customer)
  const tiers = useApi<Page<TierChoice>>(customer ? null : '/tiers?limit=200', { whole: true })
  const form = useForm<Values>({
    resolver: zodResolver(formSchema),
    defaultValues: {
      external_id: customer?.external_id ?? '',
      name: customer?.name ?? '',
      email: customer?.email ?? '',
      tier: NONE,
    },
  })

  async function submit(values: Values, options: { idempotencyKey: string }) {
    onSending(true)
    const details = { name: values.name.trim() || null, email: values.email || null }
    try {
      const saved = opened
        ? await api<Customer>(`/customers/${opened.id}`, {
            method: 'PATCH',
            body: changedFields(details, opened),
            ...options,
          })
        : await api<Customer>('/customers', {
            method: 'POST',
            body: {
              external_id: values.external_id,
              ...details,
              ...(values.tier === NONE ? {} : { tier: values.tier }),
            },
            ...options,
          })
      toast.success(t(customer ? 'customers.saved' : 'customers.created', { name: saved.name ?? saved.external_id }))
      onSaved(saved)
    } catch (error) {
      throw pointProblem(error, 'conflict', '/external_id', t('customers.form.id_taken'))
    } finally {
      onSending(false)
    }
  }

  const choices = (tiers.data?.data ?? []).filter((tier) => tier.archived_at === null)
  const standard = choices.find((tier) => tier.is_default)
  return (
    <Form id={id} form={form} onSubmit={submit}>
      <TextField
        form={form}
        name="external_id"
        label={t('customers.form.external_id')}
        hint={t(customer ? 'customers.form.external_id_fixed' : 'customers.form.external_id_hint')}
        maxLength={255}
        disabled={customer !== null}
        spellCheck={false}
        autoCapitalize="none"
        autoComplete="off"
        required
      />
      <TextField form={form} name="name" label={t('customers.form.name')} maxLength={200} autoComplete="off" optional />
      <TextField
        form={form}
        name="email"
        label={t('customers.form.email')}
        type="email"
        maxLength={320}
        autoComplete="off"
        optional
      />
      {customer ? null : (
        <SelectField
          form={form}
          name="tier"
          label={t('customers.form.tier')}
          options={[
            {
              value: NONE,
              label: standard
                ? t('customers.form.tier_default', { name: standard.name })
                : t('customers.form.tier_none'),
            },
            ...choices.filter((tier) => !tier.is_default).map((tier) => ({ value: tier.id, label: tier.name })),
          ]}
        />
      )}
    </Form>
  )
}
