import type { Metadata } from 'next'
import { apiAddress } from '@/app/[tenant]/api-address'
import { FeaturesScreen } from '@/features/features/components/features-screen'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('features.title') }

export default async function FeaturesPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { tenant, permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('tiers:read')) return <NotAllowed title={t('features.title')} role={role} />
  return (
    <FeaturesScreen
      base={`/${tenant.slug}`}
      featuresUrl={await apiAddress('/features')}
      canWrite={permissions.includes('tiers:write')}
    />
  )
}
