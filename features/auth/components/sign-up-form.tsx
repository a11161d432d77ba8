'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useState } from 'react'
import { useForm } from 'react-hook-form'
import { z } from 'zod'
import { emailField, newPasswordField } from '@/features/auth/components/auth-fields'
import { CheckMail } from '@/features/auth/components/check-mail'
import { EmailField } from '@/features/auth/components/email-field'
import { ScriptNotice } from '@/features/auth/components/script-notice'
import type { SignUpAnswer } from '@/features/auth/schema'
import { apiFetch } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { Form, TextField } from '@/libs/ui/form'
import { leaveFor } from '@/libs/ui/leave-for'
import { t } from '@/libs/ui/messages'

const schema = z.object({ email: emailField, password: newPasswordField })

/** E-mail and a new password. Goes on when the account is there at once, else says to look into the mail. */
export function SignUpForm({ next, email = '' }: { next?: string | undefined; email?: string }) {
  const [mailed, setMailed] = useState<string | null>(null)
  const form = useForm({ resolver: zodResolver(schema), defaultValues: { email, password: '' } })
  if (mailed !== null)
    return <CheckMail text={t('auth.check_mail.sign_up', { email: mailed })} onAgain={() => setMailed(null)} />
  return (
    <Form
      form={form}
      onSubmit={async (values, options) => {
        const answer = await apiFetch<SignUpAnswer>('/api/auth/sign-up', {
          method: 'POST',
          body: { ...values, ...(next ? { next } : {}) },
          ...options,
        })
        if (answer.status === 'check_mail') setMailed(values.email)
        else await leaveFor(answer.redirect_to)
      }}
    >
      <ScriptNotice />
      <EmailField form={form} name="email" />
      <TextField
        form={form}
        name="password"
        kind="password"
        label={t('auth.password')}
        hint={t('auth.password_hint')}
        autoComplete="new-password"
        required
      />
      <Button type="submit" variant="primary" size="lg" loading={form.formState.isSubmitting}>
        {t('auth.sign_up.submit')}
      </Button>
    </Form>
  )
}
