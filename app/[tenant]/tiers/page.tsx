import type { Metadata } from 'next'
import { apiAddress } from '@/app/[tenant]/api-address'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { TiersScreen } from '@/features/tiers/components/tiers-screen'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('tiers.title') }

export default async function TiersPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { tenant, permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('tiers:read')) return <NotAllowed title={t('tiers.title')} role={role} />
  return (
    <TiersScreen
      base={`/${tenant.slug}/tiers`}
      tiersUrl={await apiAddress('/tiers')}
      canWrite={permissions.includes('tiers:write')}
    />
  )
}
