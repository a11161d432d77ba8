'use client'

import { PageFailure } from '@/libs/ui/shell/page-failure'

/** A page of the operator console that fails, within its frame. */
export default function OperatorErrorPage({ error, retry }: { error: unknown; retry: () => void }) {
  return <PageFailure error={error} retry={retry} framed />
}
