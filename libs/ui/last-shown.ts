import { useRef } from 'react'

/**
 * What a dialog or drawer showed last while it was open: the content that closed it is often gone at once, and the panel
 * would change or run empty before the eyes while it moves away.
 */
export function useLastShown<T>(open: boolean, value: T): T {
  const last = useRef(value)
  if (open) last.current = value
  return open ? value : last.current
}
