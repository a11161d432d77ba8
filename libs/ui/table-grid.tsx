'use client'

import { ArrowDown, ArrowUp, ChevronsUpDown } from 'lucide-react'
import { cx } from '@/libs/ui/cx'
import type { Column, DataTableProps } from '@/libs/ui/data-table'
import { useNarrow } from '@/libs/ui/media'
import { t } from '@/libs/ui/messages'
import { FirstCell, RowActions } from '@/libs/ui/table-cells'
import type { SortDirection, TableRows } from '@/libs/ui/table-rows'

/** The rows as a table that scrolls sideways under its fixed first column. */
export function TableGrid<Row>(props: DataTableProps<Row> & { table: TableRows<Row> }) {
  const { table } = props
  const narrow = useNarrow()
  const columns = props.columns.filter((column) => !(narrow && column.folds))
  const folded = props.columns.filter((column) => narrow && column.folds)
  return (
    <section
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
      tabIndex={0}
      data-rows=""
      aria-label={props.label}
      className="scrollbar-thin relative overflow-x-auto focus-visible:-outline-offset-2"
    >
      <table className="w-full border-separate border-spacing-0 text-sm">
        <caption className="sr-only">{props.label}</caption>
        <thead>
          <tr>
            {columns.map((column, index) => (
              <HeaderCell
                key={column.key}
                column={column}
                fixed={index === 0}
                direction={table.directionOf(column.key)}
                onSort={() => table.toggleSort(column.key)}
              />
            ))}
            {props.actions ? (
              <th scope="col" className="w-12 border-b bg-sunken print:hidden">
                <span className="sr-only">{t('ui.table.actions')}</span>
              </th>
            ) : null}
          </tr>
        </thead>
        <tbody>
          {table.shown.map((row) => (
            <tr key={props.rowKey(row)} className="group [&:last-child>*]:border-b-0">
              {columns.map((column, index) => {
                const className = cx(
                  'max-w-88 break-words border-b px-3 py-2.5 align-middle first:pl-4 last:pr-4 group-hover:bg-sunken',
                  column.align === 'right' ? 'tabular text-right' : 'text-left',
                  narrow && '[&_time]:whitespace-normal',
                  index === 0 && 'wrap-anywhere sticky left-0 z-10 bg-surface font-medium',
                  index === 0 && (narrow ? 'min-w-40' : 'min-w-44'),
                )
                return index === 0 ? (
                  <th key={column.key} scope="row" className={className}>
                    <FirstCell {...props} row={row}>
                      {column.cell(row)}
                    </FirstCell>
                    <FoldedCells columns={folded} row={row} />
                  </th>
                ) : (
                  <td key={column.key} className={className}>
                    {column.cell(row)}
                  </td>
                )
              })}
              {props.actions ? (
                <td className="w-12 border-b pr-3 text-right group-hover:bg-sunken print:hidden">
                  <RowActions {...props} row={row} />
                </td>
              ) : null}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

function FoldedCells<Row>({ columns, row }: { columns: ReadonlyArray<Column<Row>>; row: Row }) {
  if (columns.length === 0) return null
  return (
    <dl className="mt-0.5 flex flex-wrap gap-x-3 font-normal text-faint text-xs">
      {columns.map((column) => (
        <div key={column.key} className="flex min-w-0 items-baseline gap-1">
          <dt>{column.header}</dt>
          <dd className="min-w-0 text-mute">{column.cell(row)}</dd>
        </div>
      ))}
    </dl>
  )
}

function HeaderCell<Row>({
  column,
  fixed,
  direction,
  onSort,
}: {
  column: Column<Row>
  fixed: boolean
  direction: SortDirection
  onSort: () => void
}) {
  return (
    <th
      scope="col"
      aria-sort={direction === 'asc' ? 'ascending' : direction === 'desc' ? 'descending' : undefined}
      className={cx(
        'h-9 whitespace-nowrap border-b bg-sunken px-3 font-medium text-faint text-xs first:pl-4 last:pr-4',
        column.align === 'right' ? 'text-right' : 'text-left',
        fixed && 'sticky left-0 z-10',
        column.width,
      )}
    >
      {column.sortValue ? (
        <button
          type="button"
          onClick={onSort}
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
        column.header
      )}
    </th>
  )
}

function SortIcon({ direction }: { direction: SortDirection }) {
  if (direction === 'asc') return <ArrowUp aria-hidden="true" className="size-3" />
  if (direction === 'desc') return <ArrowDown aria-hidden="true" className="size-3" />
  return <ChevronsUpDown aria-hidden="true" className="size-3 opacity-60 print:hidden" />
}
