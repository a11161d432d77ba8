'use client'

import { useCallback, useSyncExternalStore } from 'react'

/** Whether a media query matches; on the server, and until the page is alive, `onServer`. */
function useMediaQuery(query: string, onServer = false): boolean {
  const subscribe = useCallback(
    (listener: () => void) => {
      const list = window.matchMedia(query)
      list.addEventListener('change', listener)
      return () => list.removeEventListener('change', listener)
    },
    [query],
  )
  return useSyncExternalStore(
    subscribe,
    () => window.matchMedia(query).matches,
    () => onServer,
  )
}

/** Narrower than 640 px. */
export function usePhone(): boolean {
  return useMediaQuery('(max-width: 639.98px)')
}
