import { SearchX } from 'lucide-react'
import type { Metadata } from 'next'
import { Card } from '@/libs/ui/card'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { EmptyState } from '@/libs/ui/states'

export const metadata: Metadata = { title: t('ui.notFound.title') }

/** In the dashboard of a tenant one may see: the page is about something that is not there, or not any more. */
export default function TenantNotFound() {
  return (
    <>
      <PageHeader title={t('ui.notFound.title')} />
      <Card>
        <EmptyState icon={<SearchX />} title={t('ui.notFound.here')} description={t('ui.notFound.hereText')} />
      </Card>
    </>
  )
}
