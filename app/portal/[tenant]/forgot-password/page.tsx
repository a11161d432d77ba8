import type { Metadata } from 'next'
import { ForgotPasswordForm } from '@/features/auth/components/forgot-password-form'
import { TextLink } from '@/libs/ui/button'
import { t } from '@/libs/ui/messages'
import { AuthCard } from '@/libs/ui/shell/public-shell'

export const metadata: Metadata = { title: t('auth.forgot.title') }

export default function PortalForgotPasswordPage() {
  return (
    <AuthCard
      title={t('auth.forgot.title')}
      description={t('auth.forgot.description')}
      footer={<TextLink href="/sign-in">{t('auth.forgot.back')}</TextLink>}
    >
      <ForgotPasswordForm />
    </AuthCard>
  )
}
