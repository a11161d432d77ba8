'use client'

import { parseAsString, useQueryState } from 'nuqs'
import { useCallback } from 'react'

/** What an id is made of: a link may say anything, and becomes part of an address of the API. */
const ID = /^[\w-]+$/

/**
 * Which row of a list is open, by a key of the URL, so that a link shows the same. Opening one makes an entry in the browser's
 * history, so that Back closes it; going from row to row, and closing, do not.
 * @example const [open, setOpen] = useOpenRow('event')
 */
export function useOpenRow(key: string): [id: string | null, open: (id: string | null) => void] {
  const [asked, setId] = useQueryState(key, parseAsString)
  const id = asked !== null && ID.test(asked) ? asked : null
  const open = useCallback(
    (next: string | null) => void setId(next, { history: id === null && next !== null ? 'push' : 'replace' }),
    [id, setId],
  )
  return [id, open]
}
