'use client'

import Link from 'next/link'
import type { ReactNode } from 'react'
import { cx } from '@/libs/ui/cx'
import type { DataTableProps } from '@/libs/ui/data-table'
import { ActionMenu } from '@/libs/ui/menu'
import { t } from '@/libs/ui/messages'

/** The menu of what can be done with a row; nothing when there is nothing to do. */
export function RowActions<Row>({
  actions,
  rowLabel,
  row,
}: Pick<DataTableProps<Row>, 'actions' | 'rowLabel'> & { row: Row }) {
  const entries = actions?.(row) ?? []
  return entries.length ? (
    <ActionMenu label={t('ui.table.actionsFor', { name: rowLabel(row) })} entries={entries} />
  ) : null
}

/** The cell that names a row: a link to its page, a button that opens it, or the text alone. */
export function FirstCell<Row>({
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
