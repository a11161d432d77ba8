'use client'

import type { ListState } from '@/libs/ui/list-state'
import { Segmented } from '@/libs/ui/segmented'

/** Shows the rows in use or the archived ones; the facet `archived` of a list. */
export function ArchivedFilter({
  list,
  label,
  active,
  archived,
}: {
  list: Pick<ListState, 'facets' | 'setFacet'>
  label: string
  active: string
  archived: string
}) {
  return (
    <Segmented
      label={label}
      options={[
        { value: 'active', label: active },
        { value: 'archived', label: archived },
      ]}
      value={list.facets.archived?.[0] === 'true' ? 'archived' : 'active'}
      onValueChange={(value) => list.setFacet('archived', value === 'archived' ? ['true'] : [])}
    />
  )
}
