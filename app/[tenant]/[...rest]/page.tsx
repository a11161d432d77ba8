import type { Metadata } from 'next'
import { notFound } from 'next/navigation'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('ui.notFound.title') }

/** Every other address of the dashboard: said within its frame, where the way on is. */
export default function NoSuchPage(): never {
  notFound()
}
