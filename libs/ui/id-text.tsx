import { cx } from '@/libs/ui/cx'

/**
 * An id in a cell, on one line: what is too long is cut, and stands in full in its tooltip and on the page of the row.
 * @example cell: (customer) => <IdText>{customer.external_id}</IdText>
 */
export function IdText({ children, className }: { children: string; className?: string }) {
  return (
    <code className={cx('block max-w-52 truncate font-mono text-xs max-sm:ml-auto', className)} title={children}>
      {children}
    </code>
  )
}
