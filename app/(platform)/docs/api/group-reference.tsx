import Link from 'next/link'
import { t } from '@/libs/ui/messages'
import { groupPath } from './group-path'
import type { OpenApiDocument, OperationGroup } from './openapi-document'
import { OperationSection } from './operation-section'
import { ReferenceFrame } from './reference-frame'

/** All operations of a group, with the ways to the group before and after it. */
export function GroupReference({
  document,
  groups,
  group,
}: {
  document: OpenApiDocument
  groups: OperationGroup[]
  group: OperationGroup
}) {
  const at = groups.findIndex((one) => one.id === group.id)
  return (
    <ReferenceFrame groups={groups} current={group}>
      <h1 className="font-semibold text-2xl tracking-tight">{group.tag}</h1>
      {group.operations.map((operation) => (
        <OperationSection key={operation.id} document={document} operation={operation} />
      ))}
      <nav aria-label={t('docs.api.neighbours')} className="flex justify-between gap-6 border-t pt-6 print:hidden">
        <Neighbour group={at > 0 ? groups[at - 1] : undefined} label={t('docs.api.previous')} rel="prev" />
        <Neighbour group={groups[at + 1]} label={t('docs.api.next')} rel="next" />
      </nav>
    </ReferenceFrame>
  )
}

function Neighbour({ group, label, rel }: { group?: OperationGroup; label: string; rel: 'prev' | 'next' }) {
  if (!group) return null
  return (
    <Link
      href={groupPath(group)}
      rel={rel}
      prefetch={false}
      className="rounded-md text-mute text-sm hover:text-ink hover:underline [&[rel=next]]:ml-auto [&[rel=next]]:text-right"
    >
      {label} <span className="block font-medium text-base text-ink">{group.tag}</span>
    </Link>
  )
}
