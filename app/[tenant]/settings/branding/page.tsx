import type { Metadata } from 'next'
import { BrandingSettings } from '@/features/branding/components/branding-settings'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { requirePageTenant } from '@/libs/auth/page-access'
import { findPortalOrigin } from '@/libs/tenancy/portal-origin'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('settings.nav.branding') }

export default async function BrandingPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { tenant, permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('branding:read')) return <NotAllowed role={role} />
  return (
    <BrandingSettings
      tenantName={tenant.name}
      portalUrl={await findPortalOrigin(tenant)}
      canWrite={permissions.includes('branding:write')}
    />
  )
}
