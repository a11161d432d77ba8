'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useEffect, useId } from 'react'
import { useForm } from 'react-hook-form'
import { z } from 'zod'
import type { OperatorTenant } from '@/features/operator/components/operator-tenant'
import { apiFetch } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { ConfirmDialog } from '@/libs/ui/confirm-dialog'
import { Dialog } from '@/libs/ui/dialog'
import { Form, TextField } from '@/libs/ui/form'
import { t } from '@/libs/ui/messages'
import { toast } from '@/libs/ui/toast'

export type TenantAct = 'suspend' | 'activate' | 'delete' | 'restore'

/** What can be done to a tenant in its present state. */
export function actsOf(status: OperatorTenant['status']): readonly TenantAct[] {
  if (status === 'deleted') return ['restore']
  if (status === 'suspended') return ['activate', 'delete']
  return status === 'active' ? ['suspend', 'delete'] : ['activate', 'suspend', 'delete']
}

type Asked = { act: TenantAct; tenant: OperatorTenant } | null

/** The dialogs that ask before a tenant is suspended, activated, deleted or restored. */
export function TenantActDialogs({
  asked,
  onClose,
  onDone,
}: {
  asked: Asked
  onClose: () => void
  onDone: (tenant: OperatorTenant) => void
}) {
  const tenant = asked?.tenant
  const name = tenant?.name ?? ''
  const close = (open: boolean) => !open && onClose()

  async function run(act: Exclude<TenantAct, 'suspend'>, past: 'activated' | 'deleted' | 'restored') {
    if (!tenant) return
    const path = `/tenants/${tenant.id}`
    const next =
      act === 'delete'
        ? await apiFetch<OperatorTenant>(path, { method: 'DELETE' })
        : await apiFetch<OperatorTenant>(`${path}/${act}`, { method: 'POST' })
    toast.success(t(`operator.act.${past}`, { name }))
    onDone(next)
  }

  return (
    <>
      <SuspendDialog tenant={asked?.act === 'suspend' ? asked.tenant : null} onClose={onClose} onDone={onDone} />
      <ConfirmDialog
        open={asked?.act === 'activate'}
        onOpenChange={close}
        title={t('operator.act.activate_title', { name })}
        description={t('operator.act.activate_description')}
        confirmLabel={t('operator.act.activate')}
        onConfirm={() => run('activate', 'activated')}
      />
      <ConfirmDialog
        open={asked?.act === 'restore'}
        onOpenChange={close}
        title={t('operator.act.restore_title', { name })}
        description={t('operator.act.restore_description')}
        confirmLabel={t('operator.act.restore')}
        onConfirm={() => run('restore', 'restored')}
      />
      <ConfirmDialog
        open={asked?.act === 'delete'}
        onOpenChange={close}
        tone="danger"
        title={t('operator.act.delete_title', { name })}
        description={t('operator.act.delete_description')}
        consequences={[{ label: t('operator.act.delete_people'), count: tenant?.members ?? 0 }]}
        typed={tenant?.slug ?? ''}
        confirmLabel={t('operator.act.delete')}
        onConfirm={() => run('delete', 'deleted')}
      />
    </>
  )
}

const reasonSchema = z.object({ reason: z.string().trim().min(1, t('operator.act.suspend_reason_missing')).max(500) })

function SuspendDialog({
  tenant,
  onClose,
  onDone,
}: {
  tenant: OperatorTenant | null
  onClose: () => void
  onDone: (tenant: OperatorTenant) => void
}) {
  const id = useId()
  const form = useForm({ resolver: zodResolver(reasonSchema), defaultValues: { reason: '' } })
  const name = tenant?.name ?? ''
  const shown = tenant?.id
  useEffect(() => {
    if (shown) form.reset({ reason: '' })
  }, [shown, form])
  return (
    <Dialog
      open={tenant !== null}
      onOpenChange={(open) => !open && onClose()}
      title={t('operator.act.suspend_title', { name })}
      description={t('operator.act.suspend_description')}
      footer={
        <>
          <Button onClick={onClose}>{t('operator.act.cancel')}</Button>
          <Button type="submit" form={id} variant="danger" loading={form.formState.isSubmitting}>
            {t('operator.act.suspend')}
          </Button>
        </>
      }
    >
      <Form
        id={id}
        form={form}
        onSubmit={async (values, options) => {
          if (!tenant) return
          const next = await apiFetch<OperatorTenant>(`/tenants/${tenant.id}/suspend`, {
            method: 'POST',
            body: values,
            ...options,
          })
          toast.success(t('operator.act.suspended', { name }))
          onClose()
          onDone(next)
        }}
      >
        <TextField
          form={form}
          name="reason"
          kind="text"
          rows={3}
          maxLength={500}
          label={t('operator.act.suspend_reason')}
          hint={t('operator.act.suspend_reason_hint')}
          required
        />
      </Form>
    </Dialog>
  )
}
