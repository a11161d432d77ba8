'use client'

import { useSyncExternalStore } from 'react'

const PHONE = '(max-width: 639.98px)'

function subscribe(listener: () => void): () => void {
  const list = window.matchMedia(PHONE)
  list.addEventListener('change', listener)
  return () => list.removeEventListener('change', listener)
}

/** Whether the window is narrower than 640 px; on the server, and until the page is alive, it is not. */
export function usePhone(): boolean {
  return useSyncExternalStore(
    subscribe,
    () => window.matchMedia(PHONE).matches,
    () => false,
  )
}
