import type { Metadata } from 'next'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { ReportsScreen } from '@/features/reports/components/reports-screen'
import { requirePageTenant } from '@/libs/auth/page-access'
import { dayIn } from '@/libs/tenancy/zoned-day'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('reports.title') }

export default async function ReportsPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { tenant, permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('usage:read')) return <NotAllowed title={t('reports.title')} role={role} />
  return (
    <ReportsScreen
      tenantName={tenant.name}
      running={dayIn(tenant.time_zone).slice(0, 7)}
      {...(permissions.includes('customers:read') ? { customersHref: `/${tenant.slug}/customers` } : {})}
    />
  )
}
