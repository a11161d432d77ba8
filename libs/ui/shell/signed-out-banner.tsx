'use client'

import type { ApiProblem } from '@/libs/ui/api-client'
import { Banner } from '@/libs/ui/banner'
import { LinkButton } from '@/libs/ui/button'
import { t } from '@/libs/ui/messages'
import { signInPath } from '@/libs/ui/sign-in-path'

/** Above a page whose session has ended (elsewhere, or by time): what is shown stays, and the way back leads here. */
export function SignedOutBanner({ error }: { error: ApiProblem | null }) {
  if (error?.status !== 401) return null
  return (
    <div role="status">
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
    </div>
  )
}
