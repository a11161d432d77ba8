'use client'

import { type ReactNode, useEffect, useState } from 'react'
import { Banner } from '@/libs/ui/banner'
import { t } from '@/libs/ui/messages'
import { hasUnsaved } from '@/libs/ui/unsaved'

const LOOKS_AGAIN_MS = 1_000

/**
 * The pages of a tenant, or what stands in their place while they are closed. Closed while somebody types, the page stays
 * with what was typed until that is given up: it may be copied, or sent when the tenant is open again.
 */
export function TenantPages({ closed, children }: { closed: ReactNode | null; children: ReactNode }) {
  const isClosed = closed !== null
  const [wasClosed, setWasClosed] = useState(isClosed)
  const [kept, setKept] = useState(false)
  if (wasClosed !== isClosed) {
    setWasClosed(isClosed)
    setKept(isClosed && hasUnsaved())
  }
  useEffect(() => {
    if (!kept) return
    const timer = setInterval(() => {
      if (!hasUnsaved()) setKept(false)
    }, LOOKS_AGAIN_MS)
    return () => clearInterval(timer)
  }, [kept])

  if (isClosed && !kept) return closed
  return (
    <>
      {isClosed ? (
        <Banner tone="warning" title={t('ui.error.suspended')} className="mb-6">
          {t('ui.shell.keptSuspended')}
        </Banner>
      ) : null}
      {children}
    </>
  )
}
