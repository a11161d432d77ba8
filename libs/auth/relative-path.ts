/**
 * A redirect target as a path on the same host, or the fallback: nothing that a browser could read as another site
 * (scheme, `//host`, backslashes, control characters) and nothing below /api or /auth.
 */
export function toRelativePath(target: string | null | undefined, fallback = '/'): string {
  if (!target || target.length > 2_000 || !target.startsWith('/') || /^\/[/\\]|[\\\u0000-\u001f\u007f]/.test(target))
    return fallback
  if (!URL.canParse(target, 'http://host.invalid')) return fallback
  const url = new URL(target, 'http://host.invalid')
  if (url.origin !== 'http://host.invalid' || /^\/(?:api|auth)(?:\/|$)/.test(url.pathname)) return fallback
  // Dot segments may have brought a second slash to the front.
  return url.pathname.startsWith('//') ? fallback : `${url.pathname}${url.search}${url.hash}`
}
