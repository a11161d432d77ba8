const LONGEST = 60

/** A slug that none of these has: the one that is wanted, or that with a number. */
export function freeSlug(wanted: string, present: readonly { slug: string }[]): string {
  const base = wanted.slice(0, LONGEST).replace(/_+$/, '')
  const taken = new Set(present.map(({ slug }) => slug))
  let slug = base
  for (let number = 2; taken.has(slug); number += 1) slug = `${base}_${number}`
  return slug
}
