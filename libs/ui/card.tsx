import type { ComponentProps, ReactNode } from 'react'
import { cx } from '@/libs/ui/cx'

/**
 * A surface with an optional heading. `padded={false}` when a table fills it.
 * @example <Card title="Usage" description="This month" actions={<Button size="sm">Export</Button>}>…</Card>
 */
export function Card({
  title,
  description,
  actions,
  footer,
  padded = true,
  className,
  children,
  ...props
}: Omit<ComponentProps<'section'>, 'title'> & {
  title?: ReactNode
  description?: ReactNode
  actions?: ReactNode
  footer?: ReactNode
  padded?: boolean
}) {
  return (
    <section {...props} className={cx('min-w-0 overflow-clip rounded-lg border bg-surface shadow-card', className)}>
      {title || actions ? (
        <header
          className={cx(
            'flex flex-wrap items-start justify-between gap-x-4 gap-y-2 px-4 pt-3.5 sm:px-5',
            padded ? '' : 'pb-3.5',
          )}
        >
          <div className="min-w-0 flex-1 basis-40">
            {title ? <h2 className="wrap-anywhere font-semibold text-base tracking-tight">{title}</h2> : null}
            {description ? <p className="mt-0.5 text-faint text-sm">{description}</p> : null}
          </div>
          {actions ? <div className="flex flex-wrap items-center gap-2">{actions}</div> : null}
        </header>
      ) : null}
      <div className={padded ? 'px-4 py-4 sm:px-5' : ''}>{children}</div>
      {footer ? <footer className="border-t bg-sunken px-4 py-3 text-mute text-sm sm:px-5">{footer}</footer> : null}
    </section>
  )
}

/**
 * Facts as label and value.
 * @example <KeyValueList items={[{ label: 'Id', value: <CopyText value={id} /> }]} columns={2} />
 */
export function KeyValueList({
  items,
  columns = 1,
  className,
}: {
  items: ReadonlyArray<{ label: ReactNode; value: ReactNode }>
  columns?: 1 | 2
  className?: string
}) {
  return (
    <dl className={cx('grid grid-cols-1 gap-x-8', columns === 2 && 'sm:grid-cols-2', className)}>
      {items.map((item, index) => (
        <div
          // biome-ignore lint/suspicious/noArrayIndexKey: the list is fixed, the place is the identity
          key={index}
          className="flex flex-col gap-0.5 border-b py-2 last:border-b-0 sm:flex-row sm:items-baseline sm:gap-4"
        >
          <dt className="shrink-0 text-faint text-sm sm:w-36">{item.label}</dt>
          <dd className="min-w-0 break-words text-ink text-sm">{item.value}</dd>
        </div>
      ))}
    </dl>
  )
}
