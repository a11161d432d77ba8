import type { Metadata } from 'next'
import { trackUrl } from '@/app/[tenant]/api-address'
import { MetersScreen } from '@/features/meters/components/meters-screen'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('meters.title') }

export default async function MetersPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { tenant, permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('meters:read')) return <NotAllowed title={t('meters.title')} role={role} />
  return (
    <MetersScreen
      base={`/${tenant.slug}/meters`}
      trackUrl={await trackUrl()}
      canWrite={permissions.includes('meters:write')}
    />
  )
}
