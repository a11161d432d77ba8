import type { Metadata } from 'next'
import { apiAddress } from '@/app/[tenant]/api-address'
import { AnalyticsEventsScreen } from '@/features/analytics-events/components/analytics-events-screen'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('analytics-events.title') }

export default async function AnalyticsEventsPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('analytics-events:read'))
    return <NotAllowed title={t('analytics-events.title')} role={role} />
  return <AnalyticsEventsScreen eventsUrl={await apiAddress('/analytics-events')} />
}
