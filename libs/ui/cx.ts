/** Joins class names, leaving out what is empty. @example cx('flex', wide && 'w-full') */
export function cx(...parts: Array<string | false | null | undefined>): string {
  return parts.filter(Boolean).join(' ')
}
