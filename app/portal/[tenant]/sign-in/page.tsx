import type { Metadata } from 'next'
import { redirect } from 'next/navigation'
import { SignInForm } from '@/features/auth/components/sign-in-form'
import { SignInNotice } from '@/features/auth/components/sign-in-notice'
import { SignOutButton } from '@/features/auth/components/sign-out-button'
import { findPortal, getPageUser } from '@/libs/auth/page-access'
import { toRelativePath } from '@/libs/auth/relative-path'
import { Banner } from '@/libs/ui/banner'
import { t } from '@/libs/ui/messages'
import { AuthCard } from '@/libs/ui/shell/public-shell'

export const metadata: Metadata = { title: t('auth.sign_in.title') }

type Props = {
  params: Promise<{ tenant: string }>
  searchParams: Promise<{ next?: string | string[]; reason?: string | string[] }>
}

export default async function PortalSignInPage({ params, searchParams }: Props) {
  const { branding } = await findPortal((await params).tenant)
  const { next, reason } = await searchParams
  const target = typeof next === 'string' ? toRelativePath(next, '') : ''
  const user = await getPageUser()
  if (user && reason === undefined) redirect(target || '/')
  const name = branding.display_name
  return (
    <AuthCard
      title={t('portal.sign_in.title', { name })}
      footer={
        user ? (
          <>
            {t('portal.sign_in.signed_in', { email: user.email })} <SignOutButton />
          </>
        ) : undefined
      }
    >
      {user && reason === 'not-a-customer' ? (
        <Banner tone="warning" title={t('portal.sign_in.not_a_customer', { name })} className="mb-5" />
      ) : null}
      <SignInNotice reason={reason} email={user?.email ?? null} />
      <SignInForm next={target || undefined} />
    </AuthCard>
  )
}
