'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useId } from 'react'
import { useForm } from 'react-hook-form'
import { z } from 'zod'
import { type OperatorTenant, PLANS } from '@/features/operator/components/operator-tenant'
import { apiFetch } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { Dialog } from '@/libs/ui/dialog'
import { Form, TextField } from '@/libs/ui/form'
import { SelectField } from '@/libs/ui/form-controls'
import { t } from '@/libs/ui/messages'
import { toast } from '@/libs/ui/toast'
import { toWords } from '@/libs/ui/words'

const schema = z.object({
  name: z.string().trim().min(1, t('operator.create.name_missing')).max(120),
  slug: z.string().trim().max(48),
  plan: z.enum(PLANS),
})

/** An operator makes a tenant on any plan. */
export function CreateTenantDialog({
  open,
  onOpenChange,
  onDone,
}: {
  open: boolean
  onOpenChange: (open: boolean) => void
  onDone: (tenant: OperatorTenant) => void
}) {
  const id = useId()
  const form = useForm<z.infer<typeof schema>>({
    resolver: zodResolver(schema),
    defaultValues: { name: '', slug: '', plan: 'basic' },
  })
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title={t('operator.create.title')}
      description={t('operator.create.description')}
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>{t('operator.act.cancel')}</Button>
          <Button type="submit" form={id} variant="primary" loading={form.formState.isSubmitting}>
            {t('operator.create.submit')}
          </Button>
        </>
      }
    >
      <Form
        id={id}
        form={form}
        onSubmit={async ({ slug, ...values }, options) => {
          const tenant = await apiFetch<OperatorTenant>('/tenants', {
            method: 'POST',
            body: { ...values, ...(slug ? { slug } : {}) },
            ...options,
          })
          toast.success(t('operator.create.done', { name: tenant.name }))
          form.reset()
          onOpenChange(false)
          onDone(tenant)
        }}
      >
        <TextField form={form} name="name" label={t('operator.create.name')} maxLength={120} required />
        <TextField
          form={form}
          name="slug"
          label={t('operator.create.slug')}
          hint={t('operator.create.slug_hint')}
          maxLength={48}
          autoCapitalize="none"
          spellCheck={false}
          optional
        />
        <SelectField
          form={form}
          name="plan"
          label={t('operator.create.plan')}
          options={PLANS.map((value) => ({ value, label: toWords(value) }))}
        />
      </Form>
    </Dialog>
  )
}
