import type { Metadata } from 'next'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { UsageSettings } from '@/features/usage-tracking/components/usage-settings'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('settings.nav.usage') }

export default async function UsageSettingsPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('usage:read')) return <NotAllowed role={role} />
  return <UsageSettings canWrite={permissions.includes('meters:write')} />
}
