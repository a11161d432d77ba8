import type { Metadata } from 'next'
import { AuditLogsScreen } from '@/features/audit-logs/components/audit-logs-screen'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('audit-logs.title') }

export default async function AuditLogsPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('audit-logs:read')) return <NotAllowed title={t('audit-logs.title')} role={role} />
  return <AuditLogsScreen />
}
