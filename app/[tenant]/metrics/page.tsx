import type { Metadata } from 'next'
import { apiAddress } from '@/app/[tenant]/api-address'
import { MetricsScreen } from '@/features/metrics/components/metrics-screen'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('metrics.title') }

export default async function MetricsPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('metrics:read')) return <NotAllowed title={t('metrics.title')} role={role} />
  return <MetricsScreen metricsUrl={await apiAddress('/metrics')} />
}
