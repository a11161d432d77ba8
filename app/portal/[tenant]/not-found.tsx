import type { Metadata } from 'next'
import { t } from '@/libs/ui/messages'
import { NothingHere } from '@/libs/ui/nothing-here'

export const metadata: Metadata = { title: t('ui.notFound.title') }

/** In the portal of a tenant, in its brand. */
export default function PortalNotFound() {
  return <NothingHere />
}
