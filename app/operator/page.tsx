import type { Metadata } from 'next'
import { TenantsScreen } from '@/features/operator/components/tenants-screen'
import { requirePageOperator } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

// The template of the layout beside it holds for the pages below alone.
export const metadata: Metadata = {
  title: { absolute: `${t('operator.tenants.title')} · ${t('ui.shell.operator')}` },
}

export default async function OperatorPage() {
  const { role } = await requirePageOperator()
  return <TenantsScreen canWrite={role === 'super_admin'} />
}
