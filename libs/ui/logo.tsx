import { cx } from '@/libs/ui/cx'

const ROPE = 'M5.8 18.7c2.4-4.2 6.7-4.6 10.2-2.7s7.8 1.5 10.2-2.7'

/**
 * The mark of Holdfast: two posts and the rope that is made fast around both. Decorative.
 */
export function LogoMark({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 32 32" fill="none" aria-hidden="true" className={cx('size-7', className)}>
      <rect width="32" height="32" rx="8" fill="var(--accent)" />
      <g stroke="var(--accent-ink)" strokeWidth="3.2" strokeLinecap="round">
        <path d="M10.6 6.9v18.2M21.4 6.9v18.2" />
        <path d={ROPE} stroke="var(--accent)" strokeWidth="6.8" />
        <path d={ROPE} />
      </g>
    </svg>
  )
}

/** Mark and name. */
export function Logo() {
  return (
    <span className="inline-flex items-center gap-2.5 font-semibold text-lg tracking-tight">
      <LogoMark /> Holdfast
    </span>
  )
}
