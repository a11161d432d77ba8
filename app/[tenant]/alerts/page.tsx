import type { Metadata } from 'next'
import { AlertsScreen } from '@/features/alerts/components/alerts-screen'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('alerts.title') }

export default async function AlertsPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { tenant, permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('alerts:read')) return <NotAllowed title={t('alerts.title')} role={role} />
  return (
    <AlertsScreen
      canWrite={permissions.includes('alerts:write')}
      {...(permissions.includes('customers:read') ? { customersHref: `/${tenant.slug}/customers` } : {})}
    />
  )
}
