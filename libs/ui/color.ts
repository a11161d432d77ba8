/** An sRGB colour, channels 0 to 255. */
export type Rgb = { r: number; g: number; b: number }

/** The custom properties that a brand sets, for one colour scheme. */
export type BrandTokens = {
  /** The colour as the tenant gave it, for large areas that nobody has to read or find. */
  '--brand': string
  '--brand-ink': string
  '--accent': string
  '--accent-hover': string
  '--accent-ink': string
  '--accent-text': string
  '--accent-soft': string
  '--focus': string
  '--chart-1': string
}

const WHITE: Rgb = { r: 255, g: 255, b: 255 }
const BLACK: Rgb = { r: 0, g: 0, b: 0 }
const NEAR_BLACK: Rgb = { r: 10, g: 12, b: 15 }

// The lightest and the darkest surface an accent has to be read on, per scheme (app/globals.css).
const LIGHT_SURFACES: readonly Rgb[] = [WHITE, { r: 241, g: 243, b: 245 }]
const DARK_SURFACES: readonly Rgb[] = [
  { r: 11, g: 13, b: 16 },
  { r: 29, g: 34, b: 41 },
]

/** `#rgb` or `#rrggbb` (the hash may be missing) as channels; null when it is not a colour. */
export function parseHex(value: string): Rgb | null {
  const match = /^#?([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(value.trim())
  if (!match?.[1]) return null
  const digits = match[1].length === 3 ? [...match[1]].map((digit) => digit + digit).join('') : match[1]
  const number = Number.parseInt(digits, 16)
  return { r: (number >> 16) & 255, g: (number >> 8) & 255, b: number & 255 }
}

/** Like `parseHex`; throws when the value is not a colour. */
export function requireHex(value: string): Rgb {
  const color = parseHex(value)
  if (!color) throw new Error(`Not a hex colour: ${value}`)
  return color
}

/** Channels as `#rrggbb`. */
export function formatHex({ r, g, b }: Rgb): string {
  return `#${[r, g, b]
    .map((channel) =>
      Math.round(Math.min(255, Math.max(0, channel)))
        .toString(16)
        .padStart(2, '0'),
    )
    .join('')}`
}

function linearize(channel: number): number {
  const share = channel / 255
  return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
}

/** Relative luminance by WCAG 2, 0 (black) to 1 (white). */
function luminance({ r, g, b }: Rgb): number {
  return 0.2126 * linearize(r) + 0.7152 * linearize(g) + 0.0722 * linearize(b)
}

/** Contrast ratio by WCAG 2, 1 to 21; the order of the colours does not matter. */
export function contrast(first: Rgb, second: Rgb): number {
  const [high, low] = [luminance(first), luminance(second)].sort((a, b) => b - a) as [number, number]
  return (high + 0.05) / (low + 0.05)
}

/** Mixes two colours; a share of 0 is the first, of 1 the second. */
function mix(first: Rgb, second: Rgb, share: number): Rgb {
  return {
    r: Math.round(first.r + (second.r - first.r) * share),
    g: Math.round(first.g + (second.g - first.g) * share),
    b: Math.round(first.b + (second.b - first.b) * share),
  }
}

/**
 * The nearest colour to `color` that has at least `ratio` against every background: moved towards black on light
 * backgrounds and towards white on dark ones, in steps of one per cent. What already has the contrast is returned as it is.
 */
export function ensureContrast(color: Rgb, backgrounds: readonly Rgb[], ratio = 4.5): Rgb {
  const enough = (candidate: Rgb) => backgrounds.every((background) => contrast(candidate, background) >= ratio)
  const average = backgrounds.reduce((sum, background) => sum + luminance(background), 0) / backgrounds.length
  const target = average > 0.18 ? BLACK : WHITE
  for (let step = 0; step <= 100; step += 1) {
    const candidate = mix(color, target, step / 100)
    if (enough(candidate)) return candidate
  }
  return target
}

/** Text colour for a filled area: white where it has 4.5:1, else near-black, else black (one of them always has it). */
export function inkOn(background: Rgb): Rgb {
  return [WHITE, NEAR_BLACK].find((ink) => contrast(ink, background) >= 4.5) ?? BLACK
}

function tokens(brand: Rgb, surfaces: readonly Rgb[], toward: Rgb, softBase: Rgb, softShare: number): BrandTokens {
  // A filled control has to stand out from its surface (3:1); text in the brand's colour has to be read (4.5:1).
  const accent = ensureContrast(brand, surfaces, 3)
  const soft = mix(softBase, brand, softShare)
  return {
    '--brand': formatHex(brand),
    '--brand-ink': formatHex(inkOn(brand)),
    '--accent': formatHex(accent),
    '--accent-hover': formatHex(keepInk(accent, mix(accent, toward, 0.14))),
    '--accent-ink': formatHex(inkOn(accent)),
    '--accent-text': formatHex(ensureContrast(brand, [...surfaces, soft])),
    '--accent-soft': formatHex(soft),
    '--focus': formatHex(accent),
    '--chart-1': formatHex(accent),
  }
}

// The hover shade may not cost the label its contrast.
function keepInk(accent: Rgb, hover: Rgb): Rgb {
  return contrast(inkOn(accent), hover) >= 4.5 ? hover : accent
}

/**
 * The tokens of a tenant's brand colour for both schemes, adjusted so that text in it has 4.5:1, text on it has 4.5:1
 * and controls stand out 3:1. A value that is not a colour gives null: the product's own colours stay.
 */
export function brandTokens(primary: string): { light: BrandTokens; dark: BrandTokens } | null {
  const brand = parseHex(primary)
  if (!brand) return null
  return {
    light: tokens(brand, LIGHT_SURFACES, BLACK, WHITE, 0.1),
    dark: tokens(brand, DARK_SURFACES, WHITE, { r: 18, g: 21, b: 25 }, 0.18),
  }
}

/**
 * The style sheet of a brand: `:root{…}`, and `.dark{…}` but on paper; what is not a colour is left out. `accent` is that of the line at the top,
 * which says nothing and is taken as it is. Holds hex colours only.
 */
export function brandCss(primary: string, accent: string): string {
  const brand = brandTokens(primary)
  const line = parseHex(accent)
  const lineCss = line ? `:root{--brand-line:${formatHex(line)}}` : ''
  if (!brand) return lineCss
  const block = (values: BrandTokens) =>
    Object.entries(values)
      .map(([name, value]) => `${name}:${value}`)
      .join(';')
  return `:root{${block(brand.light)}}@media not print{:root.dark{${block(brand.dark)}}}${lineCss}`
}
