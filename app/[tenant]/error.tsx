'use client'

import { PageFailure } from '@/libs/ui/shell/page-failure'

/** A page of the dashboard that fails, within its frame: what is beside it can still be reached. */
export default function TenantErrorPage({ error, retry }: { error: unknown; retry: () => void }) {
  return <PageFailure error={error} retry={retry} framed />
}
