'use client'

import type { DataTableProps } from '@/libs/ui/data-table'
import { FirstCell, RowActions, RowCheckbox } from '@/libs/ui/table-cells'
import type { ShownRow } from '@/libs/ui/table-rows'

/** The rows as cards, for phones: the first column is the heading, the others a list of terms. */
export function TableCards<Row>(props: DataTableProps<Row> & { shown: ReadonlyArray<ShownRow<Row>> }) {
  const [first, ...rest] = props.columns
  return (
    <ul aria-label={props.label} className="divide-y divide-line">
      {props.shown.map((item) => (
        <li key={item.id} className="px-4 py-3">
          <div className="flex items-start gap-3">
            {props.selection ? <RowCheckbox item={item} rowLabel={props.rowLabel} className="pt-0.5" /> : null}
            <div className="wrap-anywhere min-w-0 flex-1 font-medium">
              <FirstCell {...props} row={item.row}>
                {first?.cell(item.row)}
              </FirstCell>
            </div>
            <RowActions {...props} row={item.row} />
          </div>
          <dl className="mt-1.5 grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1 text-sm">
            {rest
              .filter((column) => !column.hideOnCard)
              .map((column) => (
                <div key={column.key} className="contents">
                  <dt className="text-faint">{column.header}</dt>
                  <dd className="tabular wrap-anywhere min-w-0 text-right">{column.cell(item.row)}</dd>
                </div>
              ))}
          </dl>
        </li>
      ))}
    </ul>
  )
}
