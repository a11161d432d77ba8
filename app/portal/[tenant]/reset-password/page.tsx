import type { Metadata } from 'next'
import { headers } from 'next/headers'
import { ResetPasswordForm } from '@/features/auth/components/reset-password-form'
import { StaleLink } from '@/features/auth/components/stale-link'
import { readMailCookie } from '@/features/auth/services/mail-cookies'
import { t } from '@/libs/ui/messages'
import { AuthCard } from '@/libs/ui/shell/public-shell'

export const metadata: Metadata = { title: t('auth.reset.title') }

export default async function PortalResetPasswordPage() {
  if (readMailCookie({ url: 'http://page', headers: await headers() }, 'recovery') === null) {
    return (
      <AuthCard title={t('auth.reset.title')}>
        <StaleLink />
      </AuthCard>
    )
  }
  return (
    <AuthCard title={t('auth.reset.title')} description={t('auth.reset.description')}>
      <ResetPasswordForm />
    </AuthCard>
  )
}
