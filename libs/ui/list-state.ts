'use client'

import { parseAsArrayOf, parseAsString, useQueryStates } from 'nuqs'
import { useCallback, useMemo, useRef } from 'react'
import { toQuery } from '@/libs/ui/api-client'

export type ListState = {
  /** The search text, and what every facet is set to. */
  q: string
  facets: Readonly<Record<string, readonly string[]>>
  cursor: string | null
  /** Whether anything narrows the list: "nothing matches" instead of "nothing yet". */
  filtered: boolean
  /** `?q=…&status=active&cursor=…`, to be put behind the path of the list; several values of a facet by commas. */
  query: string
  setQ: (q: string) => void
  setFacet: (key: string, values: readonly string[]) => void
  clear: () => void
  next: (cursor: string) => void
  previous: () => void
  /** Whether there is a page before this one. */
  hasPrevious: boolean
}

/**
 * Search, facets and cursor of one list, kept in the URL. Changing a filter goes back to the first page; paging makes
 * an entry in the browser's history, filtering does not.
 * @example const list = useListState(['status', 'plan']); const page = useApi<Page<Row>>(`/customers${list.query}`)
 */
export function useListState(facetKeys: readonly string[] = [], options: { limit?: number } = {}): ListState {
  const keyList = facetKeys.join(' ')
  const parsers = useMemo(() => {
    const facets = Object.fromEntries(
      keyList
        .split(' ')
        .filter(Boolean)
        .map((key) => [key, parseAsArrayOf(parseAsString).withDefault([])]),
    )
    return { q: parseAsString.withDefault(''), cursor: parseAsString, ...facets }
  }, [keyList])
  const [values, setValues] = useQueryStates(parsers, { history: 'replace', throttleMs: 100 })
  // Which page a page was reached from; null is the first. Kept for this visit only: the URL alone leads to this page.
  const trail = useRef(new Map<string, string | null>())

  const q = values.q
  const cursor = values.cursor
  const facets = useMemo(() => {
    const all = values as Record<string, unknown>
    return Object.fromEntries(
      keyList
        .split(' ')
        .filter(Boolean)
        .map((key) => [key, (all[key] as string[] | undefined) ?? []]),
    )
  }, [values, keyList])
  const filtered = q !== '' || Object.values(facets).some((chosen) => chosen.length > 0)
  const query = toQuery({ q, ...facets, cursor, limit: options.limit })

  const restart = useCallback(
    (change: Record<string, unknown>) => {
      void setValues({ ...change, cursor: null } as Parameters<typeof setValues>[0])
    },
    [setValues],
  )

  return {
    q,
    facets,
    cursor,
    filtered,
    query,
    setQ: useCallback((next: string) => restart({ q: next === '' ? null : next }), [restart]),
    setFacet: useCallback(
      (key: string, chosen: readonly string[]) => restart({ [key]: chosen.length > 0 ? [...chosen] : null }),
      [restart],
    ),
    clear: useCallback(() => {
      void setValues(null)
    }, [setValues]),
    next: (to: string) => {
      trail.current.set(to, cursor)
      void setValues({ cursor: to } as Parameters<typeof setValues>[0], { history: 'push' })
    },
    previous: () => {
      const to = cursor === null ? null : (trail.current.get(cursor) ?? null)
      void setValues({ cursor: to } as Parameters<typeof setValues>[0], { history: 'push' })
    },
    hasPrevious: cursor !== null,
  }
}
