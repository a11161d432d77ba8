import type { Metadata } from 'next'
import { LinkButton } from '@/libs/ui/button'
import { t } from '@/libs/ui/messages'
import { MessagePage } from '@/libs/ui/shell/message-page'

export const metadata: Metadata = { title: t('ui.notFound.title') }

/** The same page for every address that leads nowhere: it does not say whether a tenant of that name exists. */
export default function NotFound() {
  return (
    <MessagePage
      code="404"
      title={t('ui.notFound.title')}
      description={t('ui.notFound.description')}
      action={
        <LinkButton href="/" variant="primary">
          {t('ui.notFound.home')}
        </LinkButton>
      }
    />
  )
}
