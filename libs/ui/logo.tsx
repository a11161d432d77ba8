import { cx } from '@/libs/ui/cx'

/**
 * The mark of Holdfast: two posts and the rope that is made fast around both. Decorative unless it has a `title`.
 */
export function LogoMark({ className, title }: { className?: string; title?: string }) {
  return (
    <svg
      viewBox="0 0 32 32"
      fill="none"
      role={title ? 'img' : undefined}
      aria-hidden={title ? undefined : true}
      aria-label={title}
      className={cx('size-7', className)}
    >
      <rect width="32" height="32" rx="8" fill="var(--accent)" />
      <g stroke="var(--accent-ink)" strokeWidth="3" strokeLinecap="round">
        <path d="M10.5 7v5.2M10.5 18.6V25M21.5 7v6.4M21.5 19.8V25" />
        <path d="M6.5 18.9c2.2-4 6.2-4.6 9.5-2.9s7.3 1.1 9.5-2.9" />
      </g>
    </svg>
  )
}

/** Mark and name. */
export function Logo({ className }: { className?: string }) {
  return (
    <span className={cx('inline-flex items-center gap-2.5 font-semibold text-lg tracking-tight', className)}>
      <LogoMark /> Holdfast
    </span>
  )
}
