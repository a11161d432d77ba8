import { Banner } from '@/libs/ui/banner'
import { LinkButton } from '@/libs/ui/button'
import { t } from '@/libs/ui/messages'

/** In place of the form for a new password when this browser holds no link that could be used: why, and the way to another. */
export function StaleLink() {
  return (
    <div className="flex flex-col gap-4">
      <Banner tone="warning" title={t('auth.sign_in.link_title')}>
        {t('auth.reset.old')}
      </Banner>
      <LinkButton href="/forgot-password" variant="primary" size="lg">
        {t('auth.reset.again')}
      </LinkButton>
    </div>
  )
}
