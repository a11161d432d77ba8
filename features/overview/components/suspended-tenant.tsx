import { Ban } from 'lucide-react'
import { Card } from '@/libs/ui/card'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { EmptyState } from '@/libs/ui/states'

/** In place of every page of a suspended tenant: what is stopped, and who can lift it. */
export function SuspendedTenant({ name }: { name: string }) {
  return (
    <>
      <PageHeader title={name} />
      <Card>
        <EmptyState
          icon={<Ban />}
          title={t('overview.banner.suspended_title')}
          description={t('overview.banner.suspended')}
        />
      </Card>
    </>
  )
}
