'use client'

import { ChevronDown, ChevronUp } from 'lucide-react'
import type { ReactNode } from 'react'
import { IconButton } from '@/libs/ui/button'
import { Drawer } from '@/libs/ui/sheet'
import { TextSkeleton } from '@/libs/ui/skeleton'
import { ErrorState } from '@/libs/ui/states'
import { useApi } from '@/libs/ui/use-api'

/**
 * One row of a list in full, with buttons to the rows above and below it, as far as the list shows them.
 * @example <RowDrawer id={open} rows={events} path="/events" words={words} title={nameOf} description={stateOf} onOpen={setOpen}>{(event) => …}</RowDrawer>
 */
export function RowDrawer<Row extends { id: string }>({
  id,
  rows,
  path,
  words,
  title,
  description,
  onOpen,
  children,
}: {
  /** Open while it is not null. */
  id: string | null
  rows: readonly Row[]
  /** Where a row that is not among these is fetched, without its id. */
  path: string
  /** `title` until the row is known. */
  words: Readonly<Record<'title' | 'newer' | 'older' | 'not_found', string>>
  title: (row: Row) => string
  description: (row: Row) => ReactNode
  onOpen: (id: string | null) => void
  children: (row: Row) => ReactNode
}) {
  const index = rows.findIndex((row) => row.id === id)
  const listed = rows[index]
  const fetched = useApi<Row>(id !== null && !listed ? `${path}/${encodeURIComponent(id)}` : null, {
    keepPrevious: false,
  })
  const row = listed ?? fetched.data
  const neighbour = (label: string, icon: ReactNode, to: Row | undefined) => (
    <IconButton label={label} icon={icon} size="sm" disabled={!to} onClick={() => to && onOpen(to.id)} />
  )
  return (
    <Drawer
      open={id !== null}
      onOpenChange={(open) => !open && onOpen(null)}
      size="lg"
      title={row ? title(row) : words.title}
      description={row ? description(row) : null}
      actions={
        <>
          {neighbour(words.newer, <ChevronUp />, rows[index - 1])}
          {neighbour(words.older, <ChevronDown />, listed && rows[index + 1])}
        </>
      }
    >
      {row ? (
        children(row)
      ) : fetched.error ? (
        <ErrorState
          error={fetched.error}
          {...(fetched.error.status === 404 ? { title: words.not_found } : { onRetry: fetched.reload })}
        />
      ) : (
        <TextSkeleton lines={8} />
      )}
    </Drawer>
  )
}
