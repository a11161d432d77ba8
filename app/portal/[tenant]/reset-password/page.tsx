import type { Metadata } from 'next'
import { ResetPasswordForm } from '@/features/auth/components/reset-password-form'
import { t } from '@/libs/ui/messages'
import { AuthCard } from '@/libs/ui/shell/public-shell'

export const metadata: Metadata = { title: t('auth.reset.title') }

export default function PortalResetPasswordPage() {
  return (
    <AuthCard title={t('auth.reset.title')} description={t('auth.reset.description')}>
      <ResetPasswordForm />
    </AuthCard>
  )
}
