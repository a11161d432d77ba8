import type { Metadata } from 'next'
import { cache } from 'react'
import { PortalAccessCard } from '@/features/customer-logins/components/portal-access-card'
import { CustomerScreen } from '@/features/customers/components/customer-screen'
import { getCustomer } from '@/features/customers/services/customer-service'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { UpgradeRequests } from '@/features/upgrade-requests/components/upgrade-requests'
import { UsageEvents } from '@/features/usage-tracking/components/usage-events'
import { UsageExplorer } from '@/features/usage-tracking/components/usage-explorer'
import { requirePageTenant } from '@/libs/auth/page-access'
import { readPageRow } from '@/libs/auth/page-row'
import { t } from '@/libs/ui/messages'

type Props = { params: Promise<{ tenant: string; id: string }> }

const findCustomer = cache((tenant: string, id: string) => readPageRow(tenant, 'customers:read', () => getCustomer(id)))

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  const { tenant, id } = await params
  // Decoded by Next already, unlike those of the page.
  const row = await findCustomer(tenant, id)
  return { title: row ? (row.name ?? row.external_id) : t('customers.title') }
}

export default async function CustomerPage({ params }: Props) {
  const { tenant: address, id: encoded } = await params
  const id = decodeURIComponent(encoded)
  const { tenant, permissions, role } = await requirePageTenant(address)
  await findCustomer(address, id)
  if (!permissions.includes('customers:read')) return <NotAllowed title={t('customers.title')} role={role} />
  const seesUsage = permissions.includes('usage:read')
  return (
    <CustomerScreen
      id={id}
      base={`/${tenant.slug}/customers`}
      canWrite={permissions.includes('customers:write')}
      notices={
        <UpgradeRequests
          base={`/${tenant.slug}/customers`}
          customer={id}
          canWrite={permissions.includes('customers:write')}
        />
      }
      chart={
        <>
          {seesUsage ? <UsageExplorer customer={id} listsMeters={permissions.includes('meters:read')} /> : null}
          <PortalAccessCard customerId={id} canWrite={permissions.includes('customers:write')} />
        </>
      }
      events={seesUsage ? <UsageEvents customer={id} refreshMs={5_000} /> : null}
      {...(seesUsage ? { eventsHref: `/${tenant.slug}/events`, reportsHref: `/${tenant.slug}/reports` } : {})}
      {...(permissions.includes('audit-logs:read') ? { auditHref: `/${tenant.slug}/audit-logs` } : {})}
    />
  )
}
