import type { Metadata } from 'next'
import { apiAddress } from '@/app/[tenant]/api-address'
import { CustomerKeysScreen } from '@/features/customer-keys/components/customer-keys-screen'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('customer-keys.title') }

export default async function CustomerKeysPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('customer-keys:read')) return <NotAllowed title={t('customer-keys.title')} role={role} />
  const verifyUrl = await apiAddress('/customer-keys/verify')
  return <CustomerKeysScreen verifyUrl={verifyUrl} canWrite={permissions.includes('customer-keys:write')} />
}
