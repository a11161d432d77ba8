import { Banner } from '@/libs/ui/banner'
import { t } from '@/libs/ui/messages'

/** Above the form: what became of the link in a mail that led here. `email` is of whoever is signed in all the while. */
export function SignInNotice({ reason, email }: { reason: unknown; email: string | null }) {
  if (reason === 'link')
    return (
      <Banner tone="warning" title={t('auth.sign_in.link_title')} className="mb-5">
        {t('auth.sign_in.link')}
      </Banner>
    )
  if (reason === 'confirmed')
    return (
      <Banner tone="success" title={t('auth.sign_in.confirmed_title')} className="mb-5">
        {email === null ? t('auth.sign_in.confirmed') : t('auth.sign_in.confirmed_beside', { email })}
      </Banner>
    )
  return null
}
