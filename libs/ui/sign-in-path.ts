/** Where somebody signs in who comes back to the page that is open afterwards. In the browser only. */
export function signInPath(): string {
  const { pathname, search } = window.location
  return pathname === '/' && !search ? '/sign-in' : `/sign-in?next=${encodeURIComponent(`${pathname}${search}`)}`
}
