import Link from 'next/link'
import type { ComponentProps, ReactNode } from 'react'
import { cx } from '@/libs/ui/cx'
import { Spinner } from '@/libs/ui/spinner'

/** `selected` is a filter that is set. */
export type ButtonVariant = 'primary' | 'secondary' | 'selected' | 'ghost' | 'danger' | 'danger-quiet' | 'link'
export type ButtonSize = 'sm' | 'md' | 'lg'

const variants: Record<ButtonVariant, string> = {
  primary: 'bg-accent text-accent-ink shadow-card hover:not-disabled:bg-accent-hover',
  secondary: 'border border-line-strong bg-surface text-ink shadow-card hover:not-disabled:bg-hover',
  selected: 'border border-accent bg-accent-soft text-ink shadow-card hover:not-disabled:bg-hover',
  ghost: 'text-mute hover:not-disabled:bg-hover hover:not-disabled:text-ink data-popup-open:bg-hover',
  danger: 'bg-danger text-danger-ink shadow-card hover:not-disabled:bg-danger-hover',
  'danger-quiet': 'border border-line-strong bg-surface text-danger-text shadow-card hover:not-disabled:bg-danger-soft',
  link: 'text-accent-text underline underline-offset-4 decoration-accent/40 hover:not-disabled:decoration-current',
}

const sizes: Record<ButtonSize, string> = {
  sm: 'h-7 gap-1.5 rounded-md text-xs pointer-coarse:h-9',
  md: 'h-8.5 gap-2 rounded-md text-sm pointer-coarse:h-10',
  lg: 'h-10 gap-2 rounded-lg text-base pointer-coarse:h-11',
}

const paddings: Record<ButtonSize, string> = { sm: 'px-2.5', md: 'px-3', lg: 'px-4.5' }

const squares: Record<ButtonSize, string> = {
  sm: 'w-7 pointer-coarse:w-9',
  md: 'w-8.5 pointer-coarse:w-10',
  lg: 'w-10 pointer-coarse:w-11',
}

/** The classes of a button, for elements that only look like one; `square` is for an icon alone. */
export function buttonClass(variant: ButtonVariant = 'secondary', size: ButtonSize = 'md', square = false): string {
  return cx(
    'inline-flex shrink-0 select-none items-center justify-center whitespace-nowrap font-medium transition-colors duration-100',
    'disabled:cursor-not-allowed disabled:opacity-55 data-disabled:cursor-not-allowed data-disabled:opacity-55',
    'aria-disabled:cursor-not-allowed aria-disabled:opacity-55',
    "[&_svg:not([class*='size-'])]:size-4 [&_svg]:shrink-0",
    variant === 'link' ? 'gap-1.5 rounded-sm text-sm' : cx(sizes[size], square ? squares[size] : paddings[size]),
    variants[variant],
  )
}

export type ButtonProps = ComponentProps<'button'> & {
  variant?: ButtonVariant
  size?: ButtonSize
  /** Shows a spinner in place of the icon, keeps the width and refuses clicks; the label stays readable. */
  loading?: boolean
  icon?: ReactNode
}

/**
 * A button; `type` is `button` unless said otherwise.
 * @example <Button variant="primary" icon={<Plus />} loading={saving} onClick={save}>Create tier</Button>
 */
export function Button({ variant, size, loading = false, icon, className, children, onClick, ...props }: ButtonProps) {
  return (
    <button
      type="button"
      {...props}
      // Not disabled while it is busy: the focus would fall off it, to the beginning of the page.
      onClick={loading ? (event) => event.preventDefault() : onClick}
      aria-disabled={loading || undefined}
      aria-busy={loading || undefined}
      className={cx(buttonClass(variant, size), className)}
    >
      {loading ? <Spinner /> : icon}
      {children}
    </button>
  )
}

/**
 * A square button with an icon; the label is its name and, through `title`, its tooltip.
 * @example <IconButton label="Close" icon={<X />} onClick={close} />
 */
export function IconButton({
  label,
  icon,
  variant = 'ghost',
  size = 'md',
  className,
  ...props
}: Omit<ButtonProps, 'children' | 'loading'> & { label: string; icon: ReactNode }) {
  return (
    <button
      type="button"
      title={label}
      {...props}
      aria-label={label}
      className={cx(buttonClass(variant, size, true), className)}
    >
      {icon}
    </button>
  )
}

export type LinkButtonProps = ComponentProps<typeof Link> & {
  variant?: ButtonVariant
  size?: ButtonSize
  icon?: ReactNode
}

/**
 * A link that looks like a button.
 * @example <LinkButton href="/acme/tiers" variant="secondary">All tiers</LinkButton>
 */
export function LinkButton({ variant, size, icon, className, children, ...props }: LinkButtonProps) {
  return (
    <Link {...props} className={cx(buttonClass(variant, size), className)}>
      {icon}
      {children}
    </Link>
  )
}

/**
 * A link in running text.
 * @example <TextLink href="/docs/api">the API reference</TextLink>
 */
export function TextLink({ className, ...props }: ComponentProps<typeof Link>) {
  return (
    <Link
      {...props}
      className={cx(
        'rounded-sm font-medium text-accent-text underline decoration-accent/40 underline-offset-3 hover:decoration-current',
        className,
      )}
    />
  )
}
