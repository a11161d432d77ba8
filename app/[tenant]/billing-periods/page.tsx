import type { Metadata } from 'next'
import { BillingPeriodsScreen } from '@/features/billing-periods/components/billing-periods-screen'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('billing-periods.title') }

export default async function BillingPeriodsPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { tenant, permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('billing-periods:read'))
    return <NotAllowed title={t('billing-periods.title')} role={role} />
  return (
    <BillingPeriodsScreen
      base={`/${tenant.slug}/billing-periods`}
      closes={permissions.includes('billing-periods:write')}
    />
  )
}
