import type { Metadata } from 'next'
import { trackUrl } from '@/app/[tenant]/api-address'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { EventsScreen } from '@/features/usage-tracking/components/events-screen'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('events.title') }

export default async function EventsPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { tenant, permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('usage:read')) return <NotAllowed title={t('events.title')} role={role} />
  return (
    <EventsScreen
      trackUrl={await trackUrl()}
      listsMeters={permissions.includes('meters:read')}
      corrects={permissions.includes('usage:write')}
      {...(permissions.includes('customers:read') ? { customersHref: `/${tenant.slug}/customers` } : {})}
    />
  )
}
