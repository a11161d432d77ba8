import type { ReactNode } from 'react'
import { cx } from '@/libs/ui/cx'
import { t } from '@/libs/ui/messages'

/** A grey box of the size of what comes. Give it the same height as the content. */
export function Skeleton({ className }: { className?: string }) {
  return <div aria-hidden="true" className={cx('animate-pulse-soft rounded-md bg-hover', className)} />
}

/**
 * Shows skeletons after 150 ms, so that quick answers do not flicker; says "Loading" to screen readers.
 * @example {loading ? <Loading><Skeleton className="h-72" /></Loading> : <Chart />}
 */
export function Loading({ children, className }: { children: ReactNode; className?: string }) {
  return (
    <div role="status" className={cx('animate-appear', className)}>
      <span className="sr-only">{t('ui.loading')}</span>
      {children}
    </div>
  )
}

/** Lines of text that are on their way. */
export function TextSkeleton({ lines = 3 }: { lines?: number }) {
  return (
    <Loading className="flex flex-col gap-2.5">
      {Array.from({ length: lines }, (_, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: identical placeholders
        <Skeleton key={index} className={cx('h-4', index === lines - 1 ? 'w-3/5' : 'w-full')} />
      ))}
    </Loading>
  )
}

/** Rows of a table that are on their way. */
export function RowsSkeleton({ rows = 6, rowClass = 'h-11' }: { rows?: number; rowClass?: string }) {
  return (
    <Loading className="divide-y divide-line">
      {Array.from({ length: rows }, (_, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: identical placeholders
        <div key={index} className={cx('flex items-center gap-6 px-4', rowClass)}>
          <Skeleton className="h-3.5 w-1/4" />
          <Skeleton className="h-3.5 w-1/6" />
          <Skeleton className="ml-auto h-3.5 w-1/12" />
        </div>
      ))}
    </Loading>
  )
}
