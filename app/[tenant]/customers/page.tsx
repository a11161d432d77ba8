import type { Metadata } from 'next'
import { trackUrl } from '@/app/[tenant]/api-address'
import { CustomersScreen } from '@/features/customers/components/customers-screen'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { UpgradeRequests } from '@/features/upgrade-requests/components/upgrade-requests'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('customers.title') }

export default async function CustomersPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { tenant, permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('customers:read')) return <NotAllowed title={t('customers.title')} role={role} />
  return (
    <CustomersScreen
      base={`/${tenant.slug}/customers`}
      trackUrl={await trackUrl()}
      canWrite={permissions.includes('customers:write')}
      notices={
        <UpgradeRequests base={`/${tenant.slug}/customers`} canWrite={permissions.includes('customers:write')} />
      }
      seesUsage={permissions.includes('usage:read')}
    />
  )
}
