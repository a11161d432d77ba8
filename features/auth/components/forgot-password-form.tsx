'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useState } from 'react'
import { useForm } from 'react-hook-form'
import { z } from 'zod'
import { emailField } from '@/features/auth/components/auth-fields'
import { CheckMail } from '@/features/auth/components/check-mail'
import { EmailField } from '@/features/auth/components/email-field'
import { ScriptNotice } from '@/features/auth/components/script-notice'
import { apiFetch } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { Form } from '@/libs/ui/form'
import { t } from '@/libs/ui/messages'

const schema = z.object({ email: emailField })

/** Asks for the mail with which a forgotten password is replaced. */
export function ForgotPasswordForm() {
  const [mailed, setMailed] = useState<string | null>(null)
  const form = useForm({ resolver: zodResolver(schema), defaultValues: { email: '' } })
  if (mailed !== null)
    return <CheckMail text={t('auth.check_mail.forgot', { email: mailed })} onAgain={() => setMailed(null)} />
  return (
    <Form
      form={form}
      onSubmit={async (values, options) => {
        await apiFetch('/api/auth/forgot-password', { method: 'POST', body: values, ...options })
        setMailed(values.email)
      }}
    >
      <ScriptNotice />
      <EmailField form={form} name="email" />
      <Button type="submit" variant="primary" size="lg" loading={form.formState.isSubmitting}>
        {t('auth.forgot.submit')}
      </Button>
    </Form>
  )
}
