'use client'

import {
  type ColumnDef,
  createSortedRowModel,
  rowSortingFeature,
  type SortingState,
  tableFeatures,
  useTable,
} from '@tanstack/react-table'
import { useMemo, useState } from 'react'
import type { DataTableProps } from '@/libs/ui/data-table'

export type SortDirection = false | 'asc' | 'desc'

export type TableRows<Row> = {
  /** In the order they are shown. */
  shown: readonly Row[]
  directionOf: (column: string) => SortDirection
  /** Sorts by a column; again, the other way round; a third time, not at all. */
  toggleSort: (column: string) => void
}

const features = tableFeatures({ rowSortingFeature, sortedRowModel: createSortedRowModel() })
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

/** Sorts the rows of a table by the columns that can be sorted. */
export function useTableRows<Row>({
  columns,
  rows,
  rowKey,
}: Pick<DataTableProps<Row>, 'columns' | 'rowKey'> & { rows: readonly Row[] }): TableRows<Row> {
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
  const table = useTable({
    features,
    columns: definitions,
    data,
    getRowId: (item) => rowKey(item.row),
    state: { sorting },
    onSortingChange: setSorting,
  })
  return {
    shown: table.getRowModel().rows.map((item) => item.original.row),
    directionOf: (key) => {
      const column = table.getColumn(key)
      return (column?.getCanSort() && column.getIsSorted()) || false
    },
    toggleSort: (column) => table.getColumn(column)?.toggleSorting(),
  }
}
