'use client'

import type { ApiProblem } from '@/libs/ui/api-client'
import { Banner } from '@/libs/ui/banner'
import { Button, LinkButton } from '@/libs/ui/button'
import { t } from '@/libs/ui/messages'
import { signInPath } from '@/libs/ui/sign-in-path'

/**
 * Above a page whose session has ended (elsewhere, or by time), or is now that of `other`, or whose server does not answer: what
 * is shown stays, and is said to be of before. The way to sign in leads back here.
 */
export function SessionBanner({ error, other }: { error: ApiProblem | null; other: string | null }) {
  const out = error?.status === 401
  const unreached = error?.status === 0
  return (
    <div role="status">
      {out ? (
        <Banner
          tone="warning"
          title={t('ui.shell.signedOut')}
          className="mb-6"
          actions={
            <LinkButton href={signInPath()} prefetch={false}>
              {t('ui.error.signIn')}
            </LinkButton>
          }
        >
          {t('ui.shell.signedOutText')}
        </Banner>
      ) : unreached ? (
        <Banner tone="warning" title={t('ui.error.offline')} className="mb-6">
          {t('ui.shell.unreached')}
        </Banner>
      ) : other ? (
        <Banner
          tone="warning"
          title={t('ui.shell.other', { name: other })}
          className="mb-6"
          actions={<Button onClick={() => window.location.reload()}>{t('ui.shell.otherReload')}</Button>}
        >
          {t('ui.shell.otherText')}
        </Banner>
      ) : null}
    </div>
  )
}
