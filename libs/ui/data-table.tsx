'use client'

import {
  type ColumnDef,
  createSortedRowModel,
  type RowSelectionState,
  rowSelectionFeature,
  rowSortingFeature,
  tableFeatures,
  useTable,
} from '@tanstack/react-table'
import { ArrowDown, ArrowUp, ChevronsUpDown } from 'lucide-react'
import Link from 'next/link'
import { type ReactNode, useMemo, useState } from 'react'
import type { ApiProblem } from '@/libs/ui/api-client'
import { Checkbox } from '@/libs/ui/checkbox'
import { cx } from '@/libs/ui/cx'
import { usePhone } from '@/libs/ui/media'
import { ActionMenu, type MenuEntry } from '@/libs/ui/menu'
import { t } from '@/libs/ui/messages'
import { RowsSkeleton } from '@/libs/ui/skeleton'
import { ErrorState, NoMatches } from '@/libs/ui/states'

export type Column<Row> = {
  key: string
  header: string
  cell: (row: Row) => ReactNode
  /** Makes the column sortable (among the rows shown); null sorts last. */
  sortValue?: (row: Row) => string | number | null
  align?: 'left' | 'right'
  /** A Tailwind width, such as `w-40`. */
  width?: string
  /** Leave out on cards (phones). */
  hideOnCard?: boolean
  /** The header is for screen readers only. */
  hideHeader?: boolean
}

export type DataTableProps<Row> = {
  /** Names the table for screen readers. */
  label: string
  columns: ReadonlyArray<Column<Row>>
  rows: readonly Row[] | undefined
  rowKey: (row: Row) => string
  /** Says in words which row it is: for action menus and checkboxes. */
  rowLabel: (row: Row) => string
  /** The first cell becomes a link there. */
  rowHref?: (row: Row) => string
  /** The first cell becomes a button that opens it (a drawer, for example). */
  onRowOpen?: (row: Row) => void
  actions?: (row: Row) => readonly MenuEntry[]
  selection?: {
    selected: ReadonlySet<string>
    onChange: (selected: Set<string>) => void
    /** What can be done with the selected rows. */
    actions: ReactNode
  }
  defaultSort?: { key: string; desc?: boolean }
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

const features = tableFeatures({ rowSortingFeature, rowSelectionFeature, sortedRowModel: createSortedRowModel() })
type Features = typeof features

// Ascending; TanStack turns it round for descending. What is missing comes last either way (sortUndefined).
const sortValues = (
  first: { getValue: <T>(columnId: string) => T },
  second: { getValue: <T>(columnId: string) => T },
  columnId: string,
): number => {
  const a = first.getValue<string | number>(columnId)
  const b = second.getValue<string | number>(columnId)
  if (typeof a === 'number' && typeof b === 'number') return a - b
  return String(a).localeCompare(String(b), 'en', { numeric: true, sensitivity: 'base' })
}

/**
 * A list: sortable, first column fixed while scrolling sideways, cards under 640 px, action menu and selection, with
 * its loading, error, empty and nothing-matches states.
 * @example <DataTable label="Customers" columns={columns} rows={page.data?.data} rowKey={(c) => c.id} rowLabel={(c) => c.name} loading={page.loading} error={page.error} onRetry={page.reload} filtered={list.filtered} onClearFilters={list.clear} empty={<EmptyState … />} footer={<CursorPager … />} />
 */
export function DataTable<Row>(props: DataTableProps<Row>) {
  const { rows, loading, error, onRetry, filtered, onClearFilters, empty, footer, skeletonRows = 8 } = props
  const frame = 'overflow-clip rounded-lg border bg-surface shadow-card'
  if (error && !rows) {
    return (
      <div className={frame}>
        <ErrorState error={error} onRetry={onRetry} />
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
    <div className="flex flex-col gap-3">
      <TableBody {...props} rows={rows} />
      {footer}
    </div>
  )
}

const noRows: never[] = []

function TableBody<Row>(props: DataTableProps<Row> & { rows: readonly Row[] }) {
  const { columns, rows, rowKey, selection, defaultSort, refreshing } = props
  const [sorting, setSorting] = useState(
    defaultSort ? [{ id: defaultSort.key, desc: defaultSort.desc ?? false }] : noRows,
  )
  const phone = usePhone()

  const definitions = useMemo<Array<ColumnDef<Features, { row: Row }>>>(
    () =>
      columns.map((column) => ({
        id: column.key,
        accessorFn: (item) => column.sortValue?.(item.row) ?? undefined,
        enableSorting: Boolean(column.sortValue),
        sortFn: sortValues,
        sortUndefined: 'last',
        sortDescFirst: false,
      })),
    [columns],
  )
  const data = useMemo(() => rows.map((row) => ({ row })), [rows])
  const rowSelection = useMemo<RowSelectionState>(
    () => Object.fromEntries([...(selection?.selected ?? [])].map((id) => [id, true as const])),
    [selection?.selected],
  )
  const table = useTable({
    features,
    columns: definitions,
    data,
    getRowId: (item) => rowKey(item.row),
    state: { sorting, rowSelection },
    onSortingChange: setSorting,
    onRowSelectionChange: (update) => {
      const next = typeof update === 'function' ? update(rowSelection) : update
      selection?.onChange(new Set(Object.keys(next).filter((id) => next[id])))
    },
  })
  const shown = table.getRowModel().rows.map((item) => ({ id: item.id, row: item.original.row, item }))
  const selectedHere = shown.filter(({ item }) => item.getIsSelected()).length
  const bar = selection ? (
    <div
      className={cx(
        'flex min-h-11 flex-wrap items-center gap-3 border-b px-3 py-1.5 text-sm',
        selectedHere ? 'bg-accent-soft' : 'bg-sunken',
      )}
    >
      <Checkbox
        checked={selectedHere === shown.length}
        indeterminate={selectedHere > 0 && selectedHere < shown.length}
        onCheckedChange={(on) => table.toggleAllRowsSelected(on)}
        label={selectedHere ? t('ui.table.selected', { count: selectedHere }) : t('ui.table.selectAll')}
        className="items-center"
      />
      {selectedHere ? <div className="flex flex-wrap items-center gap-2">{selection.actions}</div> : null}
    </div>
  ) : null

  return (
    <div aria-busy={refreshing || undefined} className="overflow-clip rounded-lg border bg-surface shadow-card">
      {bar}
      <div className={cx('transition-opacity', refreshing && 'opacity-60')}>
        {phone ? (
          <Cards {...props} shown={shown} />
        ) : (
          <section
            // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
            tabIndex={0}
            aria-label={props.label}
            className="scrollbar-thin relative overflow-x-auto focus-visible:-outline-offset-2"
          >
            <table className="w-full border-separate border-spacing-0 text-sm">
              <caption className="sr-only">{props.label}</caption>
              <thead>
                <tr>
                  {selection ? (
                    <th scope="col" className="w-10 border-b bg-sunken">
                      <span className="sr-only">{t('ui.table.select')}</span>
                    </th>
                  ) : null}
                  {columns.map((column, index) => {
                    const direction = table.getColumn(column.key)?.getIsSorted() ?? false
                    return (
                      <th
                        key={column.key}
                        scope="col"
                        aria-sort={direction === 'asc' ? 'ascending' : direction === 'desc' ? 'descending' : undefined}
                        className={cx(
                          'h-9 whitespace-nowrap border-b bg-sunken px-3 font-medium text-faint text-xs first:pl-4 last:pr-4',
                          column.align === 'right' ? 'text-right' : 'text-left',
                          index === 0 && 'sticky left-0 z-10',
                          column.width,
                        )}
                      >
                        {column.sortValue ? (
                          <button
                            type="button"
                            onClick={() => table.getColumn(column.key)?.toggleSorting()}
                            className={cx(
                              'inline-flex min-h-6 items-center gap-1 rounded-sm hover:text-ink',
                              direction && 'text-ink',
                              column.align === 'right' && 'flex-row-reverse',
                            )}
                          >
                            {column.header}
                            <SortIcon direction={direction} />
                          </button>
                        ) : (
                          <span className={column.hideHeader ? 'sr-only' : undefined}>{column.header}</span>
                        )}
                      </th>
                    )
                  })}
                  {props.actions ? (
                    <th scope="col" className="w-12 border-b bg-sunken">
                      <span className="sr-only">{t('ui.table.actions')}</span>
                    </th>
                  ) : null}
                </tr>
              </thead>
              <tbody>
                {shown.map(({ id, row, item }) => (
                  <tr key={id} className="group [&:last-child>*]:border-b-0">
                    {selection ? (
                      <td className="w-10 border-b py-2.5 pl-3.5 group-hover:bg-sunken">
                        <Checkbox
                          hideLabel
                          checked={item.getIsSelected()}
                          onCheckedChange={(on) => item.toggleSelected(on)}
                          label={t('ui.table.selectRow', { name: props.rowLabel(row) })}
                        />
                      </td>
                    ) : null}
                    {columns.map((column, index) => {
                      const className = cx(
                        'border-b px-3 py-2.5 align-middle first:pl-4 last:pr-4 group-hover:bg-sunken',
                        column.align === 'right' ? 'tabular text-right' : 'text-left',
                        index === 0 && 'sticky left-0 z-10 min-w-44 bg-surface font-medium',
                      )
                      return index === 0 ? (
                        <th key={column.key} scope="row" className={className}>
                          <FirstCell {...props} row={row}>
                            {column.cell(row)}
                          </FirstCell>
                        </th>
                      ) : (
                        <td key={column.key} className={className}>
                          {column.cell(row)}
                        </td>
                      )
                    })}
                    {props.actions ? (
                      <td className="w-12 border-b pr-3 text-right group-hover:bg-sunken">
                        <RowActions {...props} row={row} />
                      </td>
                    ) : null}
                  </tr>
                ))}
              </tbody>
            </table>
          </section>
        )}
      </div>
    </div>
  )
}

function SortIcon({ direction }: { direction: false | 'asc' | 'desc' }) {
  if (direction === 'asc') return <ArrowUp aria-hidden="true" className="size-3" />
  if (direction === 'desc') return <ArrowDown aria-hidden="true" className="size-3" />
  return <ChevronsUpDown aria-hidden="true" className="size-3 opacity-60" />
}

function RowActions<Row>({ actions, rowLabel, row }: Pick<DataTableProps<Row>, 'actions' | 'rowLabel'> & { row: Row }) {
  const entries = actions?.(row) ?? []
  return entries.length ? (
    <ActionMenu label={t('ui.table.actionsFor', { name: rowLabel(row) })} entries={entries} />
  ) : null
}

function FirstCell<Row>({
  row,
  rowHref,
  onRowOpen,
  children,
}: Pick<DataTableProps<Row>, 'rowHref' | 'onRowOpen'> & { row: Row; children: ReactNode }) {
  const linkClass = 'rounded-sm text-left font-medium text-ink hover:underline underline-offset-3'
  if (rowHref) {
    return (
      <Link href={rowHref(row)} className={linkClass}>
        {children}
      </Link>
    )
  }
  if (onRowOpen) {
    return (
      <button type="button" onClick={() => onRowOpen(row)} className={cx(linkClass, 'min-h-6')}>
        {children}
      </button>
    )
  }
  return <>{children}</>
}

function Cards<Row>(
  props: DataTableProps<Row> & {
    shown: ReadonlyArray<{
      id: string
      row: Row
      item: { getIsSelected: () => boolean; toggleSelected: (on?: boolean) => void }
    }>
  },
) {
  const [first, ...rest] = props.columns
  return (
    <ul aria-label={props.label} className="divide-y divide-line">
      {props.shown.map(({ id, row, item }) => (
        <li key={id} className="px-4 py-3">
          <div className="flex items-start gap-3">
            {props.selection ? (
              <Checkbox
                hideLabel
                checked={item.getIsSelected()}
                onCheckedChange={(on) => item.toggleSelected(on)}
                label={t('ui.table.selectRow', { name: props.rowLabel(row) })}
                className="pt-0.5"
              />
            ) : null}
            <div className="min-w-0 flex-1 font-medium">
              <FirstCell {...props} row={row}>
                {first?.cell(row)}
              </FirstCell>
            </div>
            <RowActions {...props} row={row} />
          </div>
          <dl className="mt-1.5 grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1 text-sm">
            {rest
              .filter((column) => !column.hideOnCard)
              .map((column) => (
                <div key={column.key} className="contents">
                  <dt className="text-faint">{column.header}</dt>
                  <dd className="tabular min-w-0 break-words text-right">{column.cell(row)}</dd>
                </div>
              ))}
          </dl>
        </li>
      ))}
    </ul>
  )
}
