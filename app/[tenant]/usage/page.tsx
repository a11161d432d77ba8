import type { Metadata } from 'next'
import { trackUrl } from '@/app/[tenant]/api-address'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { UsageScreen } from '@/features/usage-tracking/components/usage-screen'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('usage.title') }

export default async function UsagePage({ params }: { params: Promise<{ tenant: string }> }) {
  const { tenant, permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('usage:read')) return <NotAllowed title={t('usage.title')} role={role} />
  return (
    <UsageScreen
      trackUrl={await trackUrl()}
      listsMeters={permissions.includes('meters:read')}
      {...(permissions.includes('customers:read') ? { customersHref: `/${tenant.slug}/customers` } : {})}
    />
  )
}
