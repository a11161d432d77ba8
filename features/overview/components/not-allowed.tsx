import { Lock } from 'lucide-react'
import type { MemberRole } from '@/libs/auth/permissions'
import { Card } from '@/libs/ui/card'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { EmptyState } from '@/libs/ui/states'

/** A page that this role may not see: says so, and who can change it. */
export function NotAllowed({ title, role }: { title: string; role: MemberRole }) {
  return (
    <>
      <PageHeader title={title} />
      <Card>
        <EmptyState
          icon={<Lock />}
          title={t('overview.not_allowed.title')}
          description={t('overview.not_allowed.description', { role: t(`settings.role.${role}`) })}
        />
      </Card>
    </>
  )
}
