import type { Metadata } from 'next'
import { cache } from 'react'
import { BillingPeriodScreen } from '@/features/billing-periods/components/billing-period-screen'
import { getBillingPeriod } from '@/features/billing-periods/services/billing-period-service'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { requirePageTenant } from '@/libs/auth/page-access'
import { readPageRow } from '@/libs/auth/page-row'
import { formatDate } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'

type Props = { params: Promise<{ tenant: string; id: string }> }

const findPeriod = cache((tenant: string, id: string) =>
  readPageRow(tenant, 'billing-periods:read', () => getBillingPeriod(id)),
)

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  const { tenant: address, id } = await params
  const row = await findPeriod(address, id)
  if (!row) return { title: t('billing-periods.title') }
  const { tenant } = await requirePageTenant(address)
  const end = formatDate(row.ends_at, 'datetime', tenant.time_zone)
  return { title: t('billing-periods.one.title', { end }) }
}

export default async function BillingPeriodPage({ params }: Props) {
  const { tenant: address, id: encoded } = await params
  const id = decodeURIComponent(encoded)
  const { tenant, permissions, role } = await requirePageTenant(address)
  await findPeriod(address, id)
  if (!permissions.includes('billing-periods:read'))
    return <NotAllowed title={t('billing-periods.title')} role={role} />
  return <BillingPeriodScreen id={id} base={`/${tenant.slug}/billing-periods`} />
}
