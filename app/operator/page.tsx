import type { Metadata } from 'next'
import { TenantsScreen } from '@/features/operator/components/tenants-screen'
import { requirePageOperator } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('operator.tenants.title') }

export default async function OperatorPage() {
  const { role } = await requirePageOperator()
  return <TenantsScreen canWrite={role === 'super_admin'} />
}
