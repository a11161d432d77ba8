'use client'

import {
  type ColumnDef,
  createSortedRowModel,
  type RowSelectionState,
  rowSelectionFeature,
  rowSortingFeature,
  type SortingState,
  tableFeatures,
  useTable,
} from '@tanstack/react-table'
import { useMemo, useState } from 'react'
import type { DataTableProps } from '@/libs/ui/data-table'

/** A row as it is shown: in its place, selected or not. */
export type ShownRow<Row> = { id: string; row: Row; selected: boolean; select: (on: boolean) => void }

export type SortDirection = false | 'asc' | 'desc'

export type TableRows<Row> = {
  shown: ReadonlyArray<ShownRow<Row>>
  directionOf: (column: string) => SortDirection
  /** Sorts by a column; again, the other way round; a third time, not at all. */
  toggleSort: (column: string) => void
  selectedCount: number
  selectAll: (on: boolean) => void
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

/** Sorts the rows of a table by the columns that can be sorted, and keeps which are selected. */
export function useTableRows<Row>({
  columns,
  rows,
  rowKey,
  selection,
}: Pick<DataTableProps<Row>, 'columns' | 'rowKey' | 'selection'> & {
  rows: readonly Row[]
}): TableRows<Row> {
  const [sorting, setSorting] = useState<SortingState>([])
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
  const shown = table.getRowModel().rows.map((item) => ({
    id: item.id,
    row: item.original.row,
    selected: item.getIsSelected(),
    select: (on: boolean) => item.toggleSelected(on),
  }))
  return {
    shown,
    directionOf: (key) => {
      const column = table.getColumn(key)
      return (column?.getCanSort() && column.getIsSorted()) || false
    },
    toggleSort: (column) => table.getColumn(column)?.toggleSorting(),
    selectedCount: shown.filter(({ selected }) => selected).length,
    selectAll: (on) => table.toggleAllRowsSelected(on),
  }
}
