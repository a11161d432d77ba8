'use client'

import { createContext, type ReactNode, useContext, useSyncExternalStore } from 'react'
import { formatDate, formatRelative } from '@/libs/ui/format'
import { Tooltip } from '@/libs/ui/tooltip'

const Zone = createContext('UTC')

/** The zone in which every Time below is written: that of the tenant (IANA name). */
export function TimeZoneProvider({ timeZone, children }: { timeZone: string; children: ReactNode }) {
  return <Zone value={timeZone}>{children}</Zone>
}

const TabStop = createContext(true)

/** Times in rows: hundreds of them would stand between the keyboard and what can be done with a row. */
export function TimesInRows({ children }: { children: ReactNode }) {
  return <TabStop value={false}>{children}</TabStop>
}

/** The zone around it, for texts and chart axes. */
export function useTimeZone(): string {
  return useContext(Zone)
}

// One clock for all relative times on the page, so that they change together.
const listeners = new Set<() => void>()
let now = 0
let timer: ReturnType<typeof setInterval> | undefined

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) {
    now = Date.now()
    timer = setInterval(() => {
      now = Date.now()
      for (const each of listeners) each()
    }, 15_000)
  }
  listeners.add(listener)
  return () => {
    listeners.delete(listener)
    if (listeners.size === 0) clearInterval(timer)
  }
}

function readNow(): number {
  if (now === 0) now = Date.now()
  return now
}

/** The present moment in milliseconds, moving every 15 seconds; 0 while rendering on the server. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, readNow, () => 0)
}

/**
 * An instant in the tenant's zone, the exact one (seconds, zone, UTC) in a tooltip.
 * `relative` writes "3 minutes ago" as soon as the page is alive; `date` leaves the hour out.
 * @example <Time value={key.last_used_at} mode="relative" />
 */
export function Time({
  value,
  mode = 'datetime',
  fallback = '–',
  className,
}: {
  value: string | number | Date | null | undefined
  mode?: 'datetime' | 'date' | 'relative'
  /** Shown when there is no value, such as "never". */
  fallback?: ReactNode
  className?: string
}) {
  const zone = useTimeZone()
  const current = useNow()
  const tabStop = useContext(TabStop)
  if (value === null || value === undefined || value === '') return <span className="text-faint">{fallback}</span>
  const iso = new Date(value).toISOString()
  const exact = formatDate(value, 'exact', zone)
  const relative = mode === 'relative' && current > 0
  const text = relative
    ? formatRelative(value, current)
    : formatDate(value, mode === 'date' ? 'date' : 'datetime', zone)
  return (
    <Tooltip
      content={
        <>
          <span className="block">{exact}</span>
          {zone === 'UTC' ? null : <span className="block opacity-80">{iso}</span>}
        </>
      }
    >
      <time
        dateTime={iso}
        data-clock={(!relative && mode !== 'date') || undefined}
        tabIndex={tabStop ? 0 : undefined}
        className={className ?? 'whitespace-nowrap rounded-sm'}
      >
        {text}
      </time>
    </Tooltip>
  )
}

/** An instant in full: to the second in the tenant's zone, and as the API writes it. */
export function ExactTime({ value }: { value: string }) {
  return (
    <>
      <span className="block">{formatDate(value, 'exact', useTimeZone())}</span>
      <code className="block font-mono text-faint text-xs">{value}</code>
    </>
  )
}
