import type { Metadata } from 'next'
import { redirect } from 'next/navigation'
import { SignUpForm } from '@/features/auth/components/sign-up-form'
import { getPageUser } from '@/libs/auth/page-access'
import { toRelativePath } from '@/libs/auth/relative-path'
import { TextLink } from '@/libs/ui/button'
import { t } from '@/libs/ui/messages'
import { AuthShell } from '@/libs/ui/shell/public-shell'

export const metadata: Metadata = { title: t('auth.sign_up.title') }

type Props = { searchParams: Promise<{ next?: string | string[] }> }

export default async function SignUpPage({ searchParams }: Props) {
  const { next } = await searchParams
  const target = typeof next === 'string' ? toRelativePath(next, '') : ''
  if (await getPageUser()) redirect(target || '/tenants')
  const signIn = target ? `/sign-in?next=${encodeURIComponent(target)}` : '/sign-in'
  return (
    <AuthShell
      title={t('auth.sign_up.title')}
      description={t('auth.sign_up.description')}
      footer={
        <>
          {t('auth.sign_up.have_one')} <TextLink href={signIn}>{t('auth.sign_up.sign_in')}</TextLink>
        </>
      }
    >
      <SignUpForm next={target || undefined} />
    </AuthShell>
  )
}
