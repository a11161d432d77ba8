'use client'

import type { DataTableProps } from '@/libs/ui/data-table'
import { FirstCell, RowActions } from '@/libs/ui/table-cells'

/** The rows as cards, for phones: the first column is the heading, the others a list of terms. */
export function TableCards<Row>(props: DataTableProps<Row> & { rows: readonly Row[] }) {
  const [first, ...rest] = props.columns
  return (
    <ul aria-label={props.label} tabIndex={-1} data-rows="" className="divide-y divide-line">
      {props.rows.map((row) => (
        <li key={props.rowKey(row)} className="px-4 py-3">
          <div className="flex items-start gap-3">
            <div className="wrap-anywhere min-w-0 flex-1 font-medium">
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
                  <dd className="tabular wrap-anywhere min-w-0 text-right">{column.cell(row)}</dd>
                </div>
              ))}
          </dl>
        </li>
      ))}
    </ul>
  )
}
