import type { Metadata } from 'next'
import { trackUrl } from '@/app/[tenant]/api-address'
import { MeterScreen } from '@/features/meters/components/meter-screen'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { UsageEvents } from '@/features/usage-tracking/components/usage-events'
import { UsageExplorer } from '@/features/usage-tracking/components/usage-explorer'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('meters.title') }

export default async function MeterPage({ params }: { params: Promise<{ tenant: string; slug: string }> }) {
  const { tenant: address, slug: encoded } = await params
  const slug = decodeURIComponent(encoded)
  const { tenant, permissions, role } = await requirePageTenant(address)
  if (!permissions.includes('meters:read')) return <NotAllowed title={t('meters.title')} role={role} />
  return (
    <MeterScreen
      slug={slug}
      base={`/${tenant.slug}/meters`}
      trackUrl={await trackUrl()}
      canWrite={permissions.includes('meters:write')}
      {...(permissions.includes('usage:read')
        ? {
            chart: <UsageExplorer meter={slug} />,
            events: (
              <UsageEvents
                meter={slug}
                {...(permissions.includes('customers:read') ? { customersHref: `/${tenant.slug}/customers` } : {})}
              />
            ),
          }
        : {})}
    />
  )
}
