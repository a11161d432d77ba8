import type { Metadata } from 'next'
import { SignOutButton } from '@/features/auth/components/sign-out-button'
import { JoinCard } from '@/features/portal/components/join-card'
import { findPortal, getPageUser } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'
import { AuthCard } from '@/libs/ui/shell/public-shell'

type Props = { params: Promise<{ tenant: string }>; searchParams: Promise<{ token?: string }> }

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  const { branding } = await findPortal((await params).tenant)
  return { title: t('portal.join.title', { name: branding.display_name }), referrer: 'no-referrer' }
}

export default async function JoinPage({ params, searchParams }: Props) {
  const { branding } = await findPortal((await params).tenant)
  const user = await getPageUser()
  const { token: given } = await searchParams
  const token = given && /^[\w-]{43}$/.test(given) ? given : null
  const name = branding.display_name
  return (
    <AuthCard
      title={t('portal.join.title', { name })}
      footer={
        user && token ? (
          <>
            {t('portal.join.other')} <SignOutButton to={`/join?token=${token}`} />
          </>
        ) : undefined
      }
    >
      <JoinCard token={token} email={user?.email ?? null} name={name} />
    </AuthCard>
  )
}
