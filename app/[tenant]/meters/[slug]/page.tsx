import type { Metadata } from 'next'
import { cache } from 'react'
import { trackUrl } from '@/app/[tenant]/api-address'
import { MeterScreen } from '@/features/meters/components/meter-screen'
import { getMeter } from '@/features/meters/services/meter-service'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { UsageEvents } from '@/features/usage-tracking/components/usage-events'
import { UsageExplorer } from '@/features/usage-tracking/components/usage-explorer'
import { requirePageTenant } from '@/libs/auth/page-access'
import { readPageRow } from '@/libs/auth/page-row'
import { t } from '@/libs/ui/messages'

type Props = { params: Promise<{ tenant: string; slug: string }> }

const findMeter = cache((tenant: string, slug: string) => readPageRow(tenant, 'meters:read', () => getMeter(slug)))

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  const { tenant, slug } = await params
  // Decoded by Next already, unlike those of the page.
  const row = await findMeter(tenant, slug)
  return { title: row?.name ?? t('meters.title') }
}

export default async function MeterPage({ params }: Props) {
  const { tenant: address, slug: encoded } = await params
  const slug = decodeURIComponent(encoded)
  const { tenant, permissions, role } = await requirePageTenant(address)
  await findMeter(address, slug)
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
