'use client'

import { RotateCw } from 'lucide-react'
import { Button } from '@/libs/ui/button'
import { CopyText } from '@/libs/ui/copy-button'
import { t } from '@/libs/ui/messages'
import { MessagePage } from '@/libs/ui/shell/message-page'

/** Shown when a page fails on the way; the digest is the number under which the server has logged it. */
export default function ErrorPage({ error, retry }: { error: unknown; retry: () => void }) {
  const digest = digestOf(error)
  return (
    <MessagePage
      title={t('ui.error.page')}
      description={t('ui.error.pageDescription')}
      action={
        <Button variant="primary" icon={<RotateCw />} onClick={retry}>
          {t('ui.retry')}
        </Button>
      }
    >
      {digest ? (
        <p className="mt-6 flex flex-wrap items-center justify-center gap-x-1.5 text-faint text-sm">
          {t('ui.error.digestLabel')} <CopyText value={digest} />
        </p>
      ) : null}
    </MessagePage>
  )
}

function digestOf(error: unknown): string | null {
  return error instanceof Error && 'digest' in error && typeof error.digest === 'string' ? error.digest : null
}
