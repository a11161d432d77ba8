const LONGEST = 2_000

/** Whether a browser would read a character of a path as it stands there: no backslash, no control character. */
function isPlain(text: string): boolean {
  return !text.includes('\\') && [...text].every((character) => character > '\u001f' && character !== '\u007f')
}

/**
 * A redirect target as a path on the same host, or the fallback: nothing that a browser could read as another site
 * (scheme, `//host`, backslashes, control characters) and nothing below /api or /auth.
 */
export function toRelativePath(target: string | null | undefined, fallback = '/'): string {
  if (!target || target.length > LONGEST || !/^\/(?!\/)/.test(target) || !isPlain(target)) return fallback
  if (!URL.canParse(target, 'http://host.invalid')) return fallback
  const url = new URL(target, 'http://host.invalid')
  if (url.origin !== 'http://host.invalid' || /^\/(?:api|auth)(?:\/|$)/.test(url.pathname)) return fallback
  // Dot segments may have brought a second slash to the front.
  return url.pathname.startsWith('//') ? fallback : `${url.pathname}${url.search}${url.hash}`
}
