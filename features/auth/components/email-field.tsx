'use client'

import type { FieldPath, FieldValues, UseFormReturn } from 'react-hook-form'
import { TextField } from '@/libs/ui/form'
import { t } from '@/libs/ui/messages'

/** The address somebody signs in with; password managers know it as the user name. */
export function EmailField<Values extends FieldValues>({
  form,
  name,
}: {
  form: UseFormReturn<Values>
  name: FieldPath<Values>
}) {
  return (
    <TextField
      form={form}
      name={name}
      label={t('auth.email')}
      type="email"
      autoComplete="username"
      inputMode="email"
      placeholder={t('auth.email_placeholder')}
      spellCheck={false}
      autoCapitalize="none"
      required
    />
  )
}
