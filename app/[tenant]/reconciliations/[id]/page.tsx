import type { Metadata } from 'next'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { ReconciliationScreen } from '@/features/reconciliations/components/reconciliation-screen'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('reconciliations.title') }

export default async function ReconciliationPage({ params }: { params: Promise<{ tenant: string; id: string }> }) {
  const { tenant: address, id } = await params
  const { tenant, permissions, role } = await requirePageTenant(address)
  if (!permissions.includes('usage:read')) return <NotAllowed title={t('reconciliations.title')} role={role} />
  return (
    <ReconciliationScreen
      id={decodeURIComponent(id)}
      base={`/${tenant.slug}/reconciliations`}
      repairs={permissions.includes('usage:write')}
    />
  )
}
