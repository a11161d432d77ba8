import type { Metadata } from 'next'
import { ConnectorEventsScreen } from '@/features/connector-events/components/connector-events-screen'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('connector-events.title') }

export default async function ConnectorEventsPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('connector-events:read'))
    return <NotAllowed title={t('connector-events.title')} role={role} />
  return <ConnectorEventsScreen />
}
