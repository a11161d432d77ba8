'use client'

import { PageFailure } from '@/libs/ui/shell/page-failure'

/** A page of a portal that fails, in its brand. */
export default function PortalErrorPage({ error, retry }: { error: unknown; retry: () => void }) {
  return <PageFailure error={error} retry={retry} framed />
}
