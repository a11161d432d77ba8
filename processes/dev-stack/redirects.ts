/** The dashboard and all portals below a root domain, for `isAllowedRedirect`: with https too, which a proxy in front of us may speak. */
export function redirectsBelow(rootDomain: string): string[] {
  return ['http', 'https'].map((scheme) => `${scheme}://*.${rootDomain}/**`)
}

/**
 * Whether a link in a mail may lead to `target`: same origin as `siteUrl`, or a match of one of the globs, in which `*`
 * stops at `.` and `/` and `**` does not (the rules of Supabase Auth). Only http and https, no credentials in the URL.
 */
export function isAllowedRedirect(target: string, siteUrl: string, globs: string[]): boolean {
  if (!URL.canParse(target)) return false
  const url = new URL(target)
  if (!['http:', 'https:'].includes(url.protocol) || url.username || url.password) return false
  if (url.origin === new URL(siteUrl).origin) return true
  const address = `${url.origin}${url.pathname}`
  return globs.some((glob) => globPattern(glob).test(address))
}

function globPattern(glob: string): RegExp {
  const source = glob
    .split(/(\*\*|\*)/)
    .map((part) => (part === '**' ? '.*' : part === '*' ? '[^./]*' : part.replace(/[.+?^${}()|[\]\\]/g, '\\$&')))
    .join('')
  return new RegExp(`^${source}$`)
}
