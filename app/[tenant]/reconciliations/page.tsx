import type { Metadata } from 'next'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { ReconciliationsScreen } from '@/features/reconciliations/components/reconciliations-screen'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('reconciliations.title') }

export default async function ReconciliationsPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { tenant, permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('usage:read')) return <NotAllowed title={t('reconciliations.title')} role={role} />
  return <ReconciliationsScreen base={`/${tenant.slug}/reconciliations`} runs={permissions.includes('usage:write')} />
}
