import type { Metadata } from 'next'
import { cache } from 'react'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { ReconciliationScreen } from '@/features/reconciliations/components/reconciliation-screen'
import { getReconciliation } from '@/features/reconciliations/services/reconciliation-service'
import { requirePageTenant } from '@/libs/auth/page-access'
import { readPageRow } from '@/libs/auth/page-row'
import { formatDate } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'

type Props = { params: Promise<{ tenant: string; id: string }> }

const findRun = cache((tenant: string, id: string) => readPageRow(tenant, 'usage:read', () => getReconciliation(id)))

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  const { tenant: address, id } = await params
  const row = await findRun(address, id)
  if (!row) return { title: t('reconciliations.title') }
  const { tenant } = await requirePageTenant(address)
  return {
    title: `${t('reconciliations.one.title')} ${formatDate(row.started_at ?? row.created_at, 'datetime', tenant.time_zone)}`,
  }
}

export default async function ReconciliationPage({ params }: Props) {
  const { tenant: address, id: encoded } = await params
  const id = decodeURIComponent(encoded)
  const { tenant, permissions, role } = await requirePageTenant(address)
  await findRun(address, id)
  if (!permissions.includes('usage:read')) return <NotAllowed title={t('reconciliations.title')} role={role} />
  return (
    <ReconciliationScreen
      id={id}
      base={`/${tenant.slug}/reconciliations`}
      repairs={permissions.includes('usage:write')}
    />
  )
}
