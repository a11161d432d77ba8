import type { Metadata } from 'next'
import { redirect } from 'next/navigation'
import { SignUpForm } from '@/features/auth/components/sign-up-form'
import { findPortal, getPageUser } from '@/libs/auth/page-access'
import { toRelativePath } from '@/libs/auth/relative-path'
import { TextLink } from '@/libs/ui/button'
import { t } from '@/libs/ui/messages'
import { AuthCard } from '@/libs/ui/shell/public-shell'

export const metadata: Metadata = { title: t('auth.sign_up.title') }

type Props = { params: Promise<{ tenant: string }>; searchParams: Promise<{ next?: string | string[] }> }

export default async function PortalSignUpPage({ params, searchParams }: Props) {
  const { branding } = await findPortal((await params).tenant)
  const { next } = await searchParams
  const target = typeof next === 'string' ? toRelativePath(next, '') : ''
  if (await getPageUser()) redirect(target || '/')
  const signIn = target ? `/sign-in?next=${encodeURIComponent(target)}` : '/sign-in'
  return (
    <AuthCard
      title={t('portal.sign_up.title', { name: branding.display_name })}
      footer={
        <>
          {t('auth.sign_up.have_one')} <TextLink href={signIn}>{t('auth.sign_up.sign_in')}</TextLink>
        </>
      }
    >
      <SignUpForm next={target || undefined} />
    </AuthCard>
  )
}
