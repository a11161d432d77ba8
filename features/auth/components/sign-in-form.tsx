'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useForm } from 'react-hook-form'
import { z } from 'zod'
import { emailField, passwordField } from '@/features/auth/components/auth-fields'
import { EmailField } from '@/features/auth/components/email-field'
import { ScriptNotice } from '@/features/auth/components/script-notice'
import type { SignedIn } from '@/features/auth/schema'
import { apiFetch } from '@/libs/ui/api-client'
import { Button, TextLink } from '@/libs/ui/button'
import { Form, TextField } from '@/libs/ui/form'
import { leaveFor } from '@/libs/ui/leave-for'
import { t } from '@/libs/ui/messages'

const schema = z.object({ email: emailField, password: passwordField })

/** E-mail and password; goes where the server says afterwards, or to `next`. For the platform and for portals. */
export function SignInForm({ next }: { next?: string | undefined }) {
  const form = useForm({ resolver: zodResolver(schema), defaultValues: { email: '', password: '' } })
  return (
    <Form
      form={form}
      onSubmit={async (values, options) => {
        const { redirect_to } = await apiFetch<SignedIn>('/api/auth/sign-in', {
          method: 'POST',
          body: { ...values, ...(next ? { next } : {}) },
          ...options,
        })
        // A whole page load: everything that was shown to the visitor is forgotten.
        await leaveFor(redirect_to)
      }}
    >
      <ScriptNotice />
      <EmailField form={form} name="email" />
      <TextField
        form={form}
        name="password"
        kind="password"
        label={t('auth.password')}
        autoComplete="current-password"
        aside={<TextLink href="/forgot-password">{t('auth.sign_in.forgot')}</TextLink>}
        required
      />
      <Button type="submit" variant="primary" size="lg" loading={form.formState.isSubmitting}>
        {t('auth.sign_in.submit')}
      </Button>
    </Form>
  )
}
