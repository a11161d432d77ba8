import type { Metadata } from 'next'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { ReconciliationScreen } from '@/features/reconciliations/components/reconciliation-screen'
import { getReconciliation } from '@/features/reconciliations/services/reconciliation-service'
import { requirePageTenant } from '@/libs/auth/page-access'
import { readPageRow } from '@/libs/auth/page-row'
import { t } from '@/libs/ui/messages'

type Props = { params: Promise<{ tenant: string; id: string }> }

export const metadata: Metadata = { title: t('reconciliations.title') }

export default async function ReconciliationPage({ params }: Props) {
  const { tenant: address, id: encoded } = await params
  const id = decodeURIComponent(encoded)
  const { tenant, permissions, role } = await requirePageTenant(address)
  await readPageRow(address, 'usage:read', () => getReconciliation(id))
  if (!permissions.includes('usage:read')) return <NotAllowed title={t('reconciliations.title')} role={role} />
  return (
    <ReconciliationScreen
      id={id}
      base={`/${tenant.slug}/reconciliations`}
      repairs={permissions.includes('usage:write')}
    />
  )
}
