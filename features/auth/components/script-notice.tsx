import { Banner } from '@/libs/ui/banner'
import { t } from '@/libs/ui/messages'

/** Says to a browser that runs no scripts why nothing will happen here. Nobody else sees it. */
export function ScriptNotice() {
  return (
    <noscript>
      <Banner tone="warning" title={t('auth.no_script.title')}>
        {t('auth.no_script.text')}
      </Banner>
    </noscript>
  )
}
