'use client'

import { zodResolver } from '@hookform/resolvers/zod'
import { useForm } from 'react-hook-form'
import { z } from 'zod'
import { newPasswordField } from '@/features/auth/components/auth-fields'
import { ScriptNotice } from '@/features/auth/components/script-notice'
import type { SignedIn } from '@/features/auth/schema'
import { apiFetch } from '@/libs/ui/api-client'
import { Button, TextLink } from '@/libs/ui/button'
import { Form, TextField } from '@/libs/ui/form'
import { leaveFor } from '@/libs/ui/leave-for'
import { t } from '@/libs/ui/messages'

const schema = z.object({ password: newPasswordField })

/** The new password, after the link in the mail was followed on this browser. */
export function ResetPasswordForm() {
  const form = useForm({ resolver: zodResolver(schema), defaultValues: { password: '' } })
  return (
    <Form
      form={form}
      onSubmit={async (values, options) => {
        const { redirect_to } = await apiFetch<SignedIn>('/api/auth/reset-password', {
          method: 'POST',
          body: values,
          ...options,
        })
        await leaveFor(redirect_to)
      }}
    >
      <ScriptNotice />
      <TextField
        form={form}
        name="password"
        kind="password"
        label={t('auth.reset.password')}
        hint={t('auth.password_hint')}
        autoComplete="new-password"
        required
      />
      <Button type="submit" variant="primary" size="lg" loading={form.formState.isSubmitting}>
        {t('auth.reset.submit')}
      </Button>
      <p className="text-center text-sm">
        <TextLink href="/forgot-password">{t('auth.reset.again')}</TextLink>
      </p>
    </Form>
  )
}
