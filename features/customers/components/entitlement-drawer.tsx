'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useId, useState } from 'react'
import { useForm, useWatch } from 'react-hook-form'
import {
  ENTITLEMENT_KINDS,
  type EntitlementValues,
  entitlementBody,
  entitlementFormSchema,
  entitlementStart,
} from '@/features/customers/components/entitlement-form-values'
import { MeteredFields } from '@/features/customers/components/entitlement-metered-fields'
import type { Entitlement } from '@/features/customers/components/entitlement-rows'
import { Button } from '@/libs/ui/button'
import { FeatureOptions } from '@/libs/ui/feature-options'
import { FieldGroup } from '@/libs/ui/field'
import { Form, TextField } from '@/libs/ui/form'
import { t } from '@/libs/ui/messages'
import { RadioGroup } from '@/libs/ui/radio-group'
import { Drawer } from '@/libs/ui/sheet'
import { useApiFetch } from '@/libs/ui/use-api'

/** Gives a customer an entitlement of its own. */
export function EntitlementDrawer({
  customerId,
  open,
  onOpenChange,
  onSaved,
}: {
  customerId: string
  open: boolean
  onOpenChange: (open: boolean) => void
  onSaved: (saved: Entitlement) => void
}) {
  const formId = useId()
  const [sending, setSending] = useState(false)
  return (
    <Drawer
      open={open}
      onOpenChange={onOpenChange}
      closesOutside={false}
      title={t('entitlements.form.title')}
      description={t('entitlements.form.description')}
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>{t('ui.cancel')}</Button>
          <Button type="submit" form={formId} variant="primary" loading={sending}>
            {t('entitlements.form.save')}
          </Button>
        </>
      }
    >
      <EntitlementForm id={formId} customerId={customerId} onSending={setSending} onSaved={onSaved} />
    </Drawer>
  )
}

function EntitlementForm({
  id,
  customerId,
  onSending,
  onSaved,
}: {
  id: string
  customerId: string
  onSending: (sending: boolean) => void
  onSaved: (saved: Entitlement) => void
}) {
  const api = useApiFetch()
  const listId = useId()
  const form = useForm<EntitlementValues>({
    resolver: zodResolver(entitlementFormSchema),
    defaultValues: entitlementStart,
  })
  const kind = useWatch({ control: form.control, name: 'kind' })

  async function submit(values: EntitlementValues, options: { idempotencyKey: string }) {
    onSending(true)
    try {
      const path = `/customers/${customerId}/entitlements`
      onSaved(await api<Entitlement>(path, { method: 'POST', body: entitlementBody(values), ...options }))
    } finally {
      onSending(false)
    }
  }

  return (
    <Form id={id} form={form} onSubmit={submit}>
      <FieldGroup legend={t('entitlements.form.kind')}>
        <RadioGroup
          cards
          label={t('entitlements.form.kind')}
          options={ENTITLEMENT_KINDS.map((value) => ({
            value,
            label: t(`entitlements.kind.${value}`),
            description: t(`entitlements.kind.${value}_hint`),
          }))}
          value={kind}
          onValueChange={(value) => form.setValue('kind', value)}
        />
      </FieldGroup>
      <TextField
        form={form}
        name="feature_key"
        label={t('entitlements.form.key')}
        hint={t(kind === 'metered' ? 'entitlements.form.key_metered' : 'entitlements.form.key_hint')}
        list={listId}
        maxLength={64}
        spellCheck={false}
        autoCapitalize="none"
        autoComplete="off"
        {...(kind === 'metered' ? { optional: true } : { required: true })}
      />
      <FeatureOptions id={listId} />
      {kind === 'metered' ? <MeteredFields form={form} /> : null}
      {kind === 'static' ? (
        <TextField
          form={form}
          name="config"
          kind="text"
          rows={4}
          label={t('entitlements.form.config')}
          placeholder={'{"seats": 10}'}
          spellCheck={false}
          className="font-mono"
          required
        />
      ) : null}
    </Form>
  )
}
