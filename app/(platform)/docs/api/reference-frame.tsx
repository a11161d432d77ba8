import type { ReactNode } from 'react'
import type { OperationGroup } from './openapi-document'
import { ReferenceNav } from './reference-nav'

/** A page of the reference: the way to the others beside it, above it on a phone. */
export function ReferenceFrame({
  groups,
  current,
  children,
}: {
  groups: OperationGroup[]
  current?: OperationGroup
  children: ReactNode
}) {
  return (
    <div className="mx-auto max-w-6xl gap-10 px-4 py-10 sm:px-6 lg:grid lg:grid-cols-[15rem_minmax(0,1fr)]">
      <div className="scrollbar-thin -mx-2 mb-10 max-h-80 overflow-y-auto px-2 py-1 lg:sticky lg:top-14 lg:max-h-[calc(100dvh-3.5rem)] lg:self-start">
        <ReferenceNav groups={groups} current={current} />
      </div>
      <div className="min-w-0">{children}</div>
    </div>
  )
}
