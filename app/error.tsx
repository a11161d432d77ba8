'use client'

import { PageFailure } from '@/libs/ui/shell/page-failure'

/** Shown when a page fails on the way, or the frame around it. */
export default function ErrorPage({ error, retry }: { error: unknown; retry: () => void }) {
  return <PageFailure error={error} retry={retry} />
}
