import { ChevronRight } from 'lucide-react'
import Link from 'next/link'
import type { ReactNode } from 'react'
import { cx } from '@/libs/ui/cx'
import { t } from '@/libs/ui/messages'

export type Crumb = { label: string; href?: string }

/** The way down to this page; the last one is the page itself and no link. */
function Breadcrumbs({ items }: { items: readonly Crumb[] }) {
  return (
    <nav aria-label={t('ui.breadcrumbs')} className="min-w-0">
      <ol className="flex flex-wrap items-center gap-1 text-faint text-sm">
        {items.map((item, index) => (
          <li key={item.label} className="flex min-w-0 items-center gap-1">
            {index > 0 ? <ChevronRight aria-hidden="true" className="size-3.5 shrink-0" /> : null}
            {item.href ? (
              <Link href={item.href} className="inline-block truncate rounded-sm py-0.5 hover:text-ink hover:underline">
                {item.label}
              </Link>
            ) : (
              <span aria-current="page" className="truncate text-mute">
                {item.label}
              </span>
            )}
          </li>
        ))}
      </ol>
    </nav>
  )
}

/**
 * The head of every page: its only h1 (which gets the focus after a navigation), a sentence and the main acts.
 * @example <PageHeader title="Customers" description="Whose usage you meter" actions={<Button variant="primary">Add</Button>} />
 */
export function PageHeader({
  title,
  description,
  actions,
  breadcrumbs,
  badge,
  className,
}: {
  title: ReactNode
  description?: ReactNode
  actions?: ReactNode
  breadcrumbs?: readonly Crumb[]
  /** A status beside the title. */
  badge?: ReactNode
  className?: string
}) {
  return (
    <header className={cx('mb-6 flex flex-col gap-2', className)}>
      {breadcrumbs?.length ? <Breadcrumbs items={breadcrumbs} /> : null}
      <div className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
        <div className="min-w-0">
          {/* As high as the acts, which may come later. */}
          <div className="flex min-h-9 flex-wrap items-center gap-x-3 gap-y-1">
            <h1 tabIndex={-1} className="wrap-anywhere font-semibold text-2xl tracking-tight">
              {title}
            </h1>
            {badge}
          </div>
          {description ? (
            <p className="wrap-anywhere mt-1 max-w-prose text-pretty text-mute text-base">{description}</p>
          ) : null}
        </div>
        {actions ? <div className="flex flex-wrap items-center gap-2 print:hidden">{actions}</div> : null}
      </div>
    </header>
  )
}
