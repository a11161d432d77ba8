import type { Metadata } from 'next'
import { apiAddress } from '@/app/[tenant]/api-address'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { RateLimitsScreen } from '@/features/rate-limits/components/rate-limits-screen'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('rate-limits.title') }

export default async function RateLimitsPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('rate-limits:read')) return <NotAllowed title={t('rate-limits.title')} role={role} />
  return (
    <RateLimitsScreen
      limitUrl={await apiAddress('/rate-limits/limit')}
      canWrite={permissions.includes('rate-limits:write')}
    />
  )
}
