import type { Metadata } from 'next'
import { BillingPeriodScreen } from '@/features/billing-periods/components/billing-period-screen'
import { getBillingPeriod } from '@/features/billing-periods/services/billing-period-service'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { requirePageTenant } from '@/libs/auth/page-access'
import { readPageRow } from '@/libs/auth/page-row'
import { t } from '@/libs/ui/messages'

type Props = { params: Promise<{ tenant: string; id: string }> }

export const metadata: Metadata = { title: t('billing-periods.title') }

export default async function BillingPeriodPage({ params }: Props) {
  const { tenant: address, id: encoded } = await params
  const id = decodeURIComponent(encoded)
  const { tenant, permissions, role } = await requirePageTenant(address)
  await readPageRow(address, 'billing-periods:read', () => getBillingPeriod(id))
  if (!permissions.includes('billing-periods:read'))
    return <NotAllowed title={t('billing-periods.title')} role={role} />
  return <BillingPeriodScreen id={id} base={`/${tenant.slug}/billing-periods`} />
}
