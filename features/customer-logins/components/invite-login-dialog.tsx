'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useEffect, useId } from 'react'
import { useForm } from 'react-hook-form'
import { z } from 'zod'
import type { CustomerLogin } from '@/features/customer-logins/components/login-row'
import { Button } from '@/libs/ui/button'
import { Dialog } from '@/libs/ui/dialog'
import { Form, TextField } from '@/libs/ui/form'
import { t } from '@/libs/ui/messages'
import { useApiFetch } from '@/libs/ui/use-api'

const invitation = z.object({ email: z.email(t('customer-logins.form.email_wrong')).max(320) })

/** Asks for an address and sends the invitation. */
export function InviteLoginDialog({
  customerId,
  open,
  onOpenChange,
  onInvited,
}: {
  customerId: string
  open: boolean
  onOpenChange: (open: boolean) => void
  onInvited: (login: CustomerLogin) => void
}) {
  const api = useApiFetch()
  const id = useId()
  const form = useForm({ resolver: zodResolver(invitation), defaultValues: { email: '' } })
  const { reset } = form
  useEffect(() => {
    if (open) reset()
  }, [open, reset])
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      size="sm"
      title={t('customer-logins.form.title')}
      description={t('customer-logins.form.description')}
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>{t('ui.cancel')}</Button>
          <Button type="submit" form={id} variant="primary" loading={form.formState.isSubmitting}>
            {t('customer-logins.form.submit')}
          </Button>
        </>
      }
    >
      <Form
        id={id}
        form={form}
        onSubmit={async ({ email }, options) =>
          onInvited(
            await api<CustomerLogin>('/customer-logins', {
              method: 'POST',
              body: { customer_id: customerId, email },
              ...options,
            }),
          )
        }
      >
        <TextField
          form={form}
          name="email"
          label={t('customer-logins.form.email')}
          type="email"
          autoComplete="off"
          required
        />
      </Form>
    </Dialog>
  )
}
