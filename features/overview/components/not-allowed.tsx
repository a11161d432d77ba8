import { Lock } from 'lucide-react'
import type { MemberRole } from '@/libs/auth/permissions'
import { Card } from '@/libs/ui/card'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { EmptyState } from '@/libs/ui/states'

/** A page that this role may not see: says so, and who can change it. `title` is left out where the page has one already. */
export function NotAllowed({ title, role }: { title?: string; role: MemberRole }) {
  return (
    <>
      {title ? <PageHeader title={title} /> : null}
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
