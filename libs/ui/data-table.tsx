'use client'

import { type ReactNode, type RefObject, useEffect, useRef } from 'react'
import type { ApiProblem } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { cx } from '@/libs/ui/cx'
import { usePhone } from '@/libs/ui/media'
import type { MenuEntry } from '@/libs/ui/menu'
import { t } from '@/libs/ui/messages'
import { RowsSkeleton } from '@/libs/ui/skeleton'
import { ErrorState, NoMatches } from '@/libs/ui/states'
import { TableCards } from '@/libs/ui/table-cards'
import { TableGrid } from '@/libs/ui/table-grid'
import { useTableRows } from '@/libs/ui/table-rows'
import { TimesInRows } from '@/libs/ui/time'

export type Column<Row> = {
  key: string
  header: string
  cell: (row: Row) => ReactNode
  /** Makes the column sortable, among the rows given; null sorts last. In a ListTable only while there is one page. */
  sortValue?: (row: Row) => string | number | null
  align?: 'left' | 'right'
  /** A Tailwind width, such as `w-40`. */
  width?: string
  /** Leave out on cards (phones). */
  hideOnCard?: boolean
  /** Stands in small print below the first cell where the window is narrow, so that the table need not scroll. */
  folds?: boolean
}

export type DataTableProps<Row> = {
  /** Names the table for screen readers. */
  label: string
  columns: ReadonlyArray<Column<Row>>
  rows: readonly Row[] | undefined
  rowKey: (row: Row) => string
  /** Says in words which row it is: for action menus. */
  rowLabel: (row: Row) => string
  /** The first cell becomes a link there. */
  rowHref?: (row: Row) => string
  /** The first cell becomes a button that opens it (a drawer, for example). */
  onRowOpen?: (row: Row) => void
  actions?: (row: Row) => readonly MenuEntry[]
  loading?: boolean
  /** A new page is under way; the old one is shown dimmed. */
  refreshing?: boolean
  error?: ApiProblem | null
  onRetry?: () => void
  /** Whether filters narrow the list; then "nothing matches" is shown in place of `empty`. */
  filtered?: boolean
  onClearFilters?: () => void
  /** What to show when there is nothing yet: an EmptyState. */
  empty?: ReactNode
  /** Below the table, such as a CursorPager. */
  footer?: ReactNode
  skeletonRows?: number
}

/**
 * A list: sortable, first column fixed while scrolling sideways, cards under 640 px, action menu, with
 * its loading, error, empty and nothing-matches states.
 * @example <DataTable label="Customers" columns={columns} rows={page.data?.data} rowKey={(c) => c.id} rowLabel={(c) => c.name} loading={page.loading} error={page.error} onRetry={page.reload} filtered={list.filtered} onClearFilters={list.clear} empty={<EmptyState … />} footer={<CursorPager … />} />
 */
export function DataTable<Row>(props: DataTableProps<Row>) {
  const { rows, loading, error, onRetry, filtered, onClearFilters, empty, footer, skeletonRows = 8 } = props
  const body = useRef<HTMLDivElement>(null)
  useFocusKept(body, rows)
  const frame = 'overflow-clip rounded-lg border bg-surface shadow-card'
  if (error && !rows) {
    return (
      <div className={frame}>
        <ErrorState
          error={error}
          onRetry={onRetry}
          action={
            error.status === 422 && onClearFilters ? (
              <Button onClick={onClearFilters}>{t('ui.noMatches.clear')}</Button>
            ) : undefined
          }
        />
      </div>
    )
  }
  if (loading || !rows) {
    return (
      <div className={frame}>
        <div className="h-9 border-b bg-sunken" />
        <RowsSkeleton rows={skeletonRows} />
      </div>
    )
  }
  if (rows.length === 0) {
    return <div className={frame}>{filtered && onClearFilters ? <NoMatches onClear={onClearFilters} /> : empty}</div>
  }
  return (
    <div ref={body} className="group/table flex flex-col gap-3">
      <TableBody {...props} rows={rows} />
      {footer}
    </div>
  )
}

/** Where the row that had the focus is gone, the focus stays at its list: it would begin anew at the top of the page. */
function useFocusKept(body: RefObject<HTMLElement | null>, rows: unknown): void {
  const within = useRef(false)
  useEffect(() => {
    const onFocus = ({ target }: FocusEvent) => {
      within.current = target instanceof Node && (body.current?.contains(target) ?? false)
    }
    // Left by its own will, such as by a click beside it: what has gone is not there any more a moment later.
    const onLeave = ({ target }: FocusEvent) =>
      queueMicrotask(() => {
        if (target instanceof Node && target.isConnected && document.activeElement === document.body)
          within.current = false
      })
    document.addEventListener('focusin', onFocus)
    document.addEventListener('focusout', onLeave)
    return () => {
      document.removeEventListener('focusin', onFocus)
      document.removeEventListener('focusout', onLeave)
    }
  }, [body])
  // biome-ignore lint/correctness/useExhaustiveDependencies: other rows may have taken it away
  useEffect(() => {
    if (!within.current || document.activeElement !== document.body) return
    const list = body.current?.querySelector<HTMLElement>('[data-rows]') ?? document.getElementById('main')
    list?.focus()
  }, [body, rows])
}

function TableBody<Row>(props: DataTableProps<Row> & { rows: readonly Row[] }) {
  const table = useTableRows(props)
  const phone = usePhone()
  return (
    <div aria-busy={props.refreshing || undefined} className="overflow-clip rounded-lg border bg-surface shadow-card">
      <div className={cx('transition-opacity', props.refreshing && 'opacity-60')}>
        <TimesInRows>
          {phone ? <TableCards {...props} rows={table.shown} /> : <TableGrid {...props} table={table} />}
        </TimesInRows>
      </div>
    </div>
  )
}
