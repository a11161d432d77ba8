'use client'

import { parseAsBoolean, useQueryState } from 'nuqs'
import { useState } from 'react'
import { useShortcut } from '@/libs/ui/shortcuts'

export type EditDialog<Row> = {
  open: boolean
  /** The row that is changed; null while a new one is made. */
  target: Row | null
  create: () => void
  edit: (row: Row) => void
  close: () => void
}

/**
 * Whether the dialog of a list is open, and for which row. Back closes the one for a new row. A new one is asked for by `?new=true`, by `create`, and by the key n,
 * which `label` explains in the list of shortcuts.
 */
export function useEditDialog<Row>(label: string, allowed: boolean): EditDialog<Row> {
  const [creating, setCreating] = useQueryState('new', parseAsBoolean.withDefault(false))
  const [target, setTarget] = useState<Row | null>(null)
  const create = () => void setCreating(true, { history: 'push' })
  useShortcut('n', label, () => allowed && create())
  return {
    open: allowed && (creating || target !== null),
    target,
    create,
    edit: setTarget,
    close: () => {
      setTarget(null)
      void setCreating(false)
    },
  }
}
