import type { Metadata } from 'next'
import { BillingPeriodScreen } from '@/features/billing-periods/components/billing-period-screen'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('billing-periods.title') }

export default async function BillingPeriodPage({ params }: { params: Promise<{ tenant: string; id: string }> }) {
  const { tenant: address, id } = await params
  const { tenant, permissions, role } = await requirePageTenant(address)
  if (!permissions.includes('billing-periods:read'))
    return <NotAllowed title={t('billing-periods.title')} role={role} />
  return <BillingPeriodScreen id={decodeURIComponent(id)} base={`/${tenant.slug}/billing-periods`} />
}
