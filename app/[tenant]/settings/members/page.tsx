import type { Metadata } from 'next'
import { MembersScreen } from '@/features/members/components/members-screen'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('settings.nav.members') }

export default async function MembersPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { tenant, user, role, permissions } = await requirePageTenant((await params).tenant)
  return (
    <MembersScreen
      tenantName={tenant.name}
      userId={user.id}
      role={role}
      canWrite={permissions.includes('members:write')}
    />
  )
}
