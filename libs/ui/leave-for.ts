/**
 * Leaves the page for an address, by a whole page load. The promise holds until the page is shown again, if ever: a form
 * stays busy while the next page is on its way, and cannot be sent a second time.
 */
export function leaveFor(address: string): Promise<void> {
  return new Promise((resolve) => {
    window.addEventListener('pageshow', () => resolve(), { once: true })
    window.location.assign(address)
  })
}
