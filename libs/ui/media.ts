'use client'

import { useSyncExternalStore } from 'react'

function watch(query: string) {
  const subscribe = (listener: () => void) => {
    const list = window.matchMedia(query)
    list.addEventListener('change', listener)
    return () => list.removeEventListener('change', listener)
  }
  const read = () => window.matchMedia(query).matches
  return () => useSyncExternalStore(subscribe, read, () => false)
}

/** Whether the window is narrower than 640 px; on the server, and until the page is alive, it is not. */
export const usePhone = watch('(max-width: 639.98px)')

/** As `usePhone`, for less than 1200 px: beside the navigation a table has not much more than 700. */
export const useNarrow = watch('(max-width: 1199.98px)')
