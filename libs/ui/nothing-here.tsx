import { SearchX } from 'lucide-react'
import { Card } from '@/libs/ui/card'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { EmptyState } from '@/libs/ui/states'

/** The page of an address that leads nowhere, within the frame of those who may be here. */
export function NothingHere() {
  return (
    <>
      <PageHeader title={t('ui.notFound.title')} />
      <Card>
        <EmptyState icon={<SearchX />} title={t('ui.notFound.here')} description={t('ui.notFound.hereText')} />
      </Card>
    </>
  )
}
