import type { Metadata } from 'next'
import { MembersScreen } from '@/features/members/components/members-screen'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('settings.nav.members') }

export default async function MembersPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { tenant, user, role, permissions } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('members:read')) return <NotAllowed role={role} />
  return (
    <MembersScreen
      tenantName={tenant.name}
      userId={user.id}
      role={role}
      canWrite={permissions.includes('members:write')}
    />
  )
}
