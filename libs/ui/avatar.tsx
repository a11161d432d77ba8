import { cx } from '@/libs/ui/cx'

/** The first letters of the first and last word: "Ada King Lovelace" → "AL"; of an address, its first letter. */
export function initialsOf(name: string): string {
  const words = name
    .trim()
    .split(/[\s._-]+/)
    .filter(Boolean)
  if (name.includes('@') || words.length < 2) return [...(words[0] ?? '?')][0]?.toUpperCase() ?? '?'
  return `${[...(words[0] ?? '')][0] ?? ''}${[...(words.at(-1) ?? '')][0] ?? ''}`.toUpperCase()
}

const sizes = {
  sm: 'size-6 text-2xs',
  md: 'size-8 text-xs',
}

/**
 * The initials of a person (round) or a tenant (square). Decorative: the name stands beside it.
 * @example <Avatar name="Acme" shape="square" />
 */
export function Avatar({
  name,
  size = 'md',
  shape = 'round',
  tone = 'soft',
}: {
  name: string
  size?: keyof typeof sizes
  shape?: 'round' | 'square'
  /** `brand` is the colour of the tenant as it is, for the head of its portal. */
  tone?: 'soft' | 'brand'
}) {
  return (
    <span
      aria-hidden="true"
      // Drawn by the style sheet: the letters belong to the picture and must not be read, copied or searched.
      data-initials={initialsOf(name)}
      className={cx(
        'inline-flex shrink-0 select-none items-center justify-center overflow-hidden font-semibold before:content-[attr(data-initials)]',
        tone === 'brand'
          ? 'bg-(--brand,var(--accent)) text-(--brand-ink,var(--accent-ink))'
          : 'bg-accent-soft text-accent-text',
        shape === 'round' ? 'rounded-full' : 'rounded-md',
        sizes[size],
      )}
    />
  )
}
