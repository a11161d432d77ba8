'use client'

import { CircleAlert, RotateCw } from 'lucide-react'
import { useEffect, useRef, useState } from 'react'
import { Button } from '@/libs/ui/button'
import { Card } from '@/libs/ui/card'
import { CopyText } from '@/libs/ui/copy-button'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { MessagePage } from '@/libs/ui/shell/message-page'
import { EmptyState } from '@/libs/ui/states'

const AGAIN_MS = 5_000
const ONCE_MS = 60_000

/**
 * In place of a page that failed. Why is asked of the server: while it is not ready, or not reached, that is said, and the
 * page comes by itself once it is; else the number is shown under which the failure was logged. `framed` within a shell.
 */
export function PageFailure({ error, retry, framed = false }: { error: unknown; retry: () => void; framed?: boolean }) {
  const away = useServerAway(retry)
  const digest = error instanceof Error && 'digest' in error && typeof error.digest === 'string' ? error.digest : null
  const title = t(away ? 'ui.error.away' : 'ui.error.page')
  const description = t(away ? 'ui.error.awayDescription' : 'ui.error.pageDescription')
  const again = (
    <Button variant="primary" icon={<RotateCw />} onClick={retry}>
      {t('ui.retry')}
    </Button>
  )
  const number =
    digest && !away ? (
      <p className="mt-6 flex flex-wrap items-center justify-center gap-x-1.5 text-faint text-sm">
        {t('ui.error.digestLabel')} <CopyText value={digest} />
      </p>
    ) : null
  if (!framed) {
    return (
      <MessagePage title={title} description={<span role="status">{description}</span>} action={again}>
        {number}
      </MessagePage>
    )
  }
  return (
    <>
      <PageHeader title={title} />
      <Card>
        <EmptyState
          icon={<CircleAlert />}
          title={t('ui.error.load')}
          description={<span role="status">{description}</span>}
          action={again}
        >
          {number}
        </EmptyState>
      </Card>
    </>
  )
}

let retriedAt = Number.NEGATIVE_INFINITY

/**
 * Whether the server says that it cannot serve at the moment; `onBack` is called once it can again. One that can when it is first
 * asked was perhaps away for that moment alone: then it is called as well, but not time after time.
 */
function useServerAway(onBack: () => void): boolean {
  const [away, setAway] = useState(false)
  const back = useRef(onBack)
  back.current = onBack
  useEffect(() => {
    let gone = false
    let was = false
    let timer: number | undefined
    const ask = async () => {
      const ready = await isReady()
      if (gone) return
      setAway(!ready)
      if (!ready) {
        was = true
        timer = window.setTimeout(() => void ask(), AGAIN_MS)
      } else if (was || Date.now() - retriedAt > ONCE_MS) {
        retriedAt = Date.now()
        back.current()
      }
    }
    void ask()
    return () => {
      gone = true
      window.clearTimeout(timer)
    }
  }, [])
  return away
}

async function isReady(): Promise<boolean> {
  try {
    return (await fetch('/readyz', { cache: 'no-store' })).ok
  } catch {
    return false
  }
}
