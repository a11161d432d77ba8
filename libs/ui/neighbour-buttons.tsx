'use client'

import { ChevronDown, ChevronUp } from 'lucide-react'
import { IconButton } from '@/libs/ui/button'

/**
 * In the head of a drawer: opens the row above or below the one that is open, as far as the list shows them.
 * @example <Drawer actions={<NeighbourButtons id={id} rows={events} newer="Newer event" older="Older event" onOpen={setOpen} />} … />
 */
export function NeighbourButtons({
  id,
  rows,
  newer,
  older,
  onOpen,
}: {
  id: string | null
  rows: ReadonlyArray<{ id: string }>
  newer: string
  older: string
  onOpen: (id: string) => void
}) {
  const index = rows.findIndex((row) => row.id === id)
  const above = index > 0 ? rows[index - 1] : undefined
  const below = index >= 0 ? rows[index + 1] : undefined
  return (
    <>
      <IconButton
        label={newer}
        icon={<ChevronUp />}
        size="sm"
        disabled={!above}
        onClick={() => above && onOpen(above.id)}
      />
      <IconButton
        label={older}
        icon={<ChevronDown />}
        size="sm"
        disabled={!below}
        onClick={() => below && onOpen(below.id)}
      />
    </>
  )
}
