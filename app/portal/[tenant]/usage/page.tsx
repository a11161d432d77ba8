import type { Metadata } from 'next'
import { PortalUsage } from '@/features/portal/components/portal-usage'
import { requirePortalCustomer } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('portal.usage.title') }

export default async function PortalUsagePage({ params }: { params: Promise<{ tenant: string }> }) {
  await requirePortalCustomer((await params).tenant)
  return <PortalUsage />
}
