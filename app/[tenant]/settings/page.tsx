import type { Metadata } from 'next'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { TenantSettings } from '@/features/tenants/components/tenant-settings'
import { requirePageTenant } from '@/libs/auth/page-access'
import { findPortalOrigin } from '@/libs/tenancy/portal-origin'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('settings.title') }

export default async function SettingsPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { tenant, permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('tenants:read')) return <NotAllowed role={role} />
  return <TenantSettings portalUrl={await findPortalOrigin(tenant)} canWrite={permissions.includes('tenants:write')} />
}
