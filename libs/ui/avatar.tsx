import { cx } from '@/libs/ui/cx'

/** The first letters of the first and last word: "Ada King Lovelace" → "AL", "(old) Acme" → "OA"; of an address, its first. */
export function initialsOf(name: string): string {
  // A word begins where its letters do: what is put before them, such as a bracket, is no initial.
  const letters = name.split(/[\s._-]+/).flatMap((word) => word.match(/[\p{L}\p{N}]/u)?.[0] ?? [])
  const [first = [...name.trim()][0] ?? '?'] = letters
  const last = name.includes('@') || letters.length < 2 ? '' : (letters.at(-1) ?? '')
  return `${first}${last}`.toUpperCase()
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
