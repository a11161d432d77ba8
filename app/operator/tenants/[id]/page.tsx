import type { Metadata } from 'next'
import { notFound } from 'next/navigation'
import { TenantScreen } from '@/features/operator/components/tenant-screen'
import { requirePageOperator } from '@/libs/auth/page-access'
import { env } from '@/libs/env'
import { isUuid } from '@/libs/ids'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('operator.tenants.column.name') }

export default async function OperatorTenantPage({ params }: { params: Promise<{ id: string }> }) {
  const { role } = await requirePageOperator()
  const { id } = await params
  if (!isUuid(id)) notFound()
  return <TenantScreen id={id} canWrite={role === 'super_admin'} rootDomain={env().ROOT_DOMAIN} />
}
