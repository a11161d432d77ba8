import type { Metadata } from 'next'
import { redirect } from 'next/navigation'
import { SignInForm } from '@/features/auth/components/sign-in-form'
import { SignInNotice } from '@/features/auth/components/sign-in-notice'
import { getPageUser } from '@/libs/auth/page-access'
import { toRelativePath } from '@/libs/auth/relative-path'
import { TextLink } from '@/libs/ui/button'
import { t } from '@/libs/ui/messages'
import { AuthShell } from '@/libs/ui/shell/public-shell'

export const metadata: Metadata = { title: t('auth.sign_in.title') }

type Props = { searchParams: Promise<{ next?: string | string[]; reason?: string | string[] }> }

export default async function SignInPage({ searchParams }: Props) {
  const { next, reason } = await searchParams
  const target = typeof next === 'string' ? toRelativePath(next, '') : ''
  const user = await getPageUser()
  if (user && reason === undefined) redirect(target || '/tenants')
  const signUp = target ? `/sign-up?next=${encodeURIComponent(target)}` : '/sign-up'
  return (
    <AuthShell
      title={t('auth.sign_in.title')}
      description={t('auth.sign_in.description')}
      footer={
        <>
          {t('auth.sign_in.new_here')} <TextLink href={signUp}>{t('auth.sign_in.create')}</TextLink>
        </>
      }
    >
      <SignInNotice reason={reason} email={user?.email ?? null} />
      <SignInForm next={target || undefined} />
    </AuthShell>
  )
}
