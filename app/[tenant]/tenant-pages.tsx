'use client'

import type { ReactNode } from 'react'
import { Banner } from '@/libs/ui/banner'
import { t } from '@/libs/ui/messages'
import { useUnsaved } from '@/libs/ui/unsaved'

/**
 * The pages of a tenant, or what stands in their place while they are closed. Closed while somebody types, the page stays
 * with what was typed until that is given up: it may be copied, or sent when the tenant is open again.
 */
export function TenantPages({ closed, children }: { closed: ReactNode | null; children: ReactNode }) {
  const unsaved = useUnsaved()
  if (closed !== null && !unsaved) return closed
  return (
    <>
      {closed !== null ? (
        <Banner tone="warning" title={t('ui.error.suspended')} className="mb-6">
          {t('ui.shell.keptSuspended')}
        </Banner>
      ) : null}
      {children}
    </>
  )
}
