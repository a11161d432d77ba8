import { initialsOf } from '@/libs/ui/avatar'
import { formatHex, inkOn, parseHex } from '@/libs/ui/color'

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }

/** The icon of a portal in a browser's tab, as a data URL: what stands in its head, the initials of its name on its colour. */
export function brandIcon(name: string, color: string): string {
  const brand = parseHex(color)
  const [fill, ink] = brand ? [formatHex(brand), formatHex(inkOn(brand))] : ['#0d6b78', '#ffffff']
  const initials = initialsOf(name).replaceAll(/[&<>]/g, (character) => ESCAPES[character] ?? '')
  const text = `<text x="16" y="16" dy=".36em" fill="${ink}" font-family="system-ui,sans-serif" font-size="${initials.length > 1 ? 14 : 18}" font-weight="600" text-anchor="middle">${initials}</text>`
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="${fill}"/>${text}</svg>`
  return `data:image/svg+xml,${encodeURIComponent(svg)}`
}
