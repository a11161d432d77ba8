import type { Metadata } from 'next'
import { PortalTiers } from '@/features/upgrade-requests/components/portal-tiers'
import { requirePortalCustomer } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('upgrade-requests.portal.title') }

export default async function PortalTiersPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { branding } = await requirePortalCustomer((await params).tenant)
  return <PortalTiers name={branding.display_name} />
}
