import type { Metadata } from 'next'
import { t } from '@/libs/ui/messages'
import { NothingHere } from '@/libs/ui/nothing-here'

export const metadata: Metadata = { title: t('ui.notFound.title') }

/** In the operator console: a tenant that is not there. */
export default function OperatorNotFound() {
  return <NothingHere />
}
