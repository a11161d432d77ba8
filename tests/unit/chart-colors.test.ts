// The colours of charts: each stands out from the surface, and any two are told apart whatever kind of colour blindness one has.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

type Triple = readonly [number, number, number]

const css = readFileSync(join(import.meta.dirname, '..', '..', 'app', 'globals.css'), 'utf8')
const THEMES = { light: css.slice(css.indexOf(':root {')), dark: css.slice(css.indexOf('.dark {')) }
const NAMES = ['1', '2', '3', '4', '5', '6', '7', '8', 'other']

/** Linear light of a colour in a theme's block of variables. */
function colorOf(theme: string, name: string): Triple {
  const hex = new RegExp(`--${name}: #([0-9a-f]{6});`).exec(theme)?.[1] ?? ''
  expect(hex, name).toHaveLength(6)
  const channel = (at: number) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  }
  return [channel(0), channel(2), channel(4)]
}

const dot = (row: Triple, color: Triple) => row[0] * color[0] + row[1] * color[1] + row[2] * color[2]
const luminance = (color: Triple) => dot([0.2126, 0.7152, 0.0722], color)

/** What an eye sees that lacks one kind of cone (Machado, Oliveira and Fernandes 2009, full strength). */
const EYES: Record<string, readonly [Triple, Triple, Triple]> = {
  usual: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
}

/** A colour in Oklab, where distance is difference as it is seen. */
function toLab(color: Triple): Triple {
  const cones: Triple = [
    Math.cbrt(dot([0.4122214708, 0.5363325363, 0.0514459929], color)),
    Math.cbrt(dot([0.2119034982, 0.6806995451, 0.1073969566], color)),
    Math.cbrt(dot([0.0883024619, 0.2817188376, 0.6299787005], color)),
  ]
  return [
    dot([0.2104542553, 0.793617785, -0.0040720468], cones),
    dot([1.9779984951, -2.428592205, 0.4505937099], cones),
    dot([0.0259040371, 0.7827717662, -0.808675766], cones),
  ]
}

const seenBy = (eye: readonly [Triple, Triple, Triple], color: Triple): Triple => {
  const clip = (value: number) => Math.min(1, Math.max(0, value))
  return toLab([clip(dot(eye[0], color)), clip(dot(eye[1], color)), clip(dot(eye[2], color))])
}

describe.each(Object.entries(THEMES))('chart colours, %s', (_, theme) => {
  const colors = NAMES.map((name) => colorOf(theme, `chart-${name}`))

  test('stand out from the surface, 3:1', () => {
    const surface = luminance(colorOf(theme, 'surface'))
    const contrasts = colors.map((color) => {
      const own = luminance(color)
      return (Math.max(own, surface) + 0.05) / (Math.min(own, surface) + 0.05)
    })
    expect(contrasts.filter((contrast) => contrast < 3)).toEqual([])
  })

  test.each(Object.entries(EYES))('are told apart: %s', (_eye, eye) => {
    const seen = colors.map((color) => seenBy(eye, color))
    const near = seen.flatMap((one, index) =>
      seen
        .slice(index + 1)
        .map((two, later) => ({
          pair: `${NAMES[index]}-${NAMES[index + 1 + later]}`,
          distance: 100 * Math.hypot(one[0] - two[0], one[1] - two[1], one[2] - two[2]),
        }))
        .filter(({ distance }) => distance < 6),
    )
    expect(near).toEqual([])
  })
})

test('on paper the colours are the light ones, whatever the theme', () => {
  const dark = [...css.matchAll(/^.*\.dark[ :][^{]*\{$/gm)].filter(([rule]) => !rule.includes('@'))
  expect(dark.length).toBeGreaterThan(1)
  for (const { index } of dark) expect(css.slice(0, index).trimEnd()).toMatch(/@media not print \{$/)
})
