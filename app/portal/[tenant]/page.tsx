import { PortalHome } from '@/features/portal/components/portal-home'
import { requirePortalCustomer } from '@/libs/auth/page-access'

export default async function PortalPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { branding } = await requirePortalCustomer((await params).tenant)
  return <PortalHome name={branding.display_name} supportUrl={branding.support_url} />
}
