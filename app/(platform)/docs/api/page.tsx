import type { Metadata } from 'next'
import { t } from '@/libs/ui/messages'
import { readReference } from './read-reference'
import { ReferenceIntroduction } from './reference-introduction'

export const metadata: Metadata = { title: t('docs.api.title') }

/** How the API works, and where each of its operations is. */
export default async function ApiReferencePage() {
  return <ReferenceIntroduction {...(await readReference())} />
}
