import { redirect } from 'next/navigation'
import { trackUrl } from '@/app/[tenant]/api-address'
import { FirstSteps } from '@/features/onboarding/components/first-steps'
import { OverviewScreen } from '@/features/overview/components/overview-screen'
import { UsageEvents } from '@/features/usage-tracking/components/usage-events'
import { UsageExplorer } from '@/features/usage-tracking/components/usage-explorer'
import { requirePageTenant } from '@/libs/auth/page-access'
import { dayIn } from '@/libs/tenancy/zoned-day'

export default async function OverviewPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { tenant, permissions, role } = await requirePageTenant((await params).tenant)
  const base = `/${tenant.slug}`
  // Compliance officers come for the record; everybody else for how things go.
  if (role === 'compliance') redirect(`${base}/audit-logs`)
  return (
    <OverviewScreen
      tenantName={tenant.name}
      base={base}
      seesUsage={permissions.includes('usage:read')}
      seesCustomers={permissions.includes('customers:read')}
      today={dayIn(tenant.time_zone)}
      firstSteps={
        permissions.includes('onboarding:read') ? (
          <FirstSteps
            trackUrl={await trackUrl()}
            canWrite={permissions.includes('onboarding:write')}
            canMakeKeys={permissions.includes('api-keys:write')}
          />
        ) : null
      }
      chart={<UsageExplorer refreshMs={5_000} />}
      events={
        <UsageEvents
          refreshMs={5_000}
          limit={6}
          compact
          {...(permissions.includes('customers:read') ? { customersHref: `${base}/customers` } : {})}
        />
      }
    />
  )
}
