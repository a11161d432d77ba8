import type { Metadata } from 'next'
import { trackUrl } from '@/app/[tenant]/api-address'
import { ApiKeysScreen } from '@/features/api-keys/components/api-keys-screen'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('api-keys.title') }

export default async function ApiKeysPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('api-keys:read')) return <NotAllowed title={t('api-keys.title')} role={role} />
  return <ApiKeysScreen trackUrl={await trackUrl()} canWrite={permissions.includes('api-keys:write')} />
}
