import { t } from '@/libs/ui/messages'

/** The title of a page that could not be made: that it is not there is said only of one that is not. */
export function failureTitle(error: unknown): string {
  const digest = error instanceof Error && 'digest' in error ? String(error.digest) : ''
  return t(digest.endsWith(';404') ? 'ui.notFound.title' : 'ui.error.page')
}
