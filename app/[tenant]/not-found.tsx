import type { Metadata } from 'next'
import { t } from '@/libs/ui/messages'
import { NothingHere } from '@/libs/ui/nothing-here'

export const metadata: Metadata = { title: t('ui.notFound.title') }

/** In the dashboard of a tenant one may see: the page is about something that is not there, or not any more. */
export default function TenantNotFound() {
  return <NothingHere />
}
