import type { Metadata } from 'next'
import { headers } from 'next/headers'
import { env } from '@/libs/env'
import { readHost } from '@/libs/tenancy/host'
import { LinkButton } from '@/libs/ui/button'
import { t } from '@/libs/ui/messages'
import { MessagePage } from '@/libs/ui/shell/message-page'

export const metadata: Metadata = { title: t('ui.notFound.title') }

/**
 * The same page for every address that leads nowhere: it does not say whether a tenant of that name exists. Only the platform's own
 * host has a start to go to; on a host that is nobody's that would be this page again.
 */
export default async function NotFound() {
  const { kind } = readHost((await headers()).get('host'), env().ROOT_DOMAIN)
  return (
    <MessagePage
      code="404"
      title={t('ui.notFound.title')}
      description={t('ui.notFound.description')}
      action={
        kind === 'app' ? (
          <LinkButton href="/" variant="primary">
            {t('ui.notFound.home')}
          </LinkButton>
        ) : null
      }
    />
  )
}
