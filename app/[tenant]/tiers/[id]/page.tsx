import type { Metadata } from 'next'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { TierScreen } from '@/features/tiers/components/tier-screen'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('tiers.title') }

export default async function TierPage({ params }: { params: Promise<{ tenant: string; id: string }> }) {
  const { tenant: address, id } = await params
  const { tenant, permissions, role } = await requirePageTenant(address)
  if (!permissions.includes('tiers:read')) return <NotAllowed title={t('tiers.title')} role={role} />
  return (
    <TierScreen
      id={decodeURIComponent(id)}
      listHref={`/${tenant.slug}/tiers`}
      canWrite={permissions.includes('tiers:write')}
    />
  )
}
