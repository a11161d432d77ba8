import type { Metadata } from 'next'
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
  const { token } = await searchParams
  const name = branding.display_name
  return (
    <AuthCard title={t('portal.join.title', { name })}>
      <JoinCard token={token && /^[\w-]{43}$/.test(token) ? token : null} email={user?.email ?? null} name={name} />
    </AuthCard>
  )
}
