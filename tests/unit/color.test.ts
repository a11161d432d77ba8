import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  brandCss,
  brandTokens,
  contrast,
  ensureContrast,
  formatHex,
  inkOn,
  parseHex,
  type Rgb,
  requireHex,
} from '@/libs/ui/color'

const channel = fc.integer({ min: 0, max: 255 })
const color: fc.Arbitrary<Rgb> = fc.record({ r: channel, g: channel, b: channel })
const lightSurfaces = ['#ffffff', '#f1f3f5'].map(requireHex)
const darkSurfaces = ['#0b0d10', '#1d2229'].map(requireHex)

describe('hex', () => {
  test('reads short, long and bare forms', () => {
    expect(parseHex('#0af')).toEqual({ r: 0, g: 170, b: 255 })
    expect(parseHex('00AAFF')).toEqual({ r: 0, g: 170, b: 255 })
    expect(parseHex(' #00aaff ')).toEqual({ r: 0, g: 170, b: 255 })
  })

  test.each(['', '#', '#12', '#12345', '#gggggg', 'red', '#fff;}', 'url(x)'])('refuses %j', (value) => {
    expect(parseHex(value)).toBeNull()
    expect(() => requireHex(value)).toThrow()
  })

  test('writes what it reads', () => {
    fc.assert(
      fc.property(color, (value) => {
        expect(parseHex(formatHex(value))).toEqual(value)
      }),
    )
  })
})

describe('contrast', () => {
  test('has the published corner values', () => {
    expect(contrast(requireHex('#000'), requireHex('#fff'))).toBeCloseTo(21, 5)
    expect(contrast(requireHex('#777777'), requireHex('#fff'))).toBeCloseTo(4.478, 2)
  })

  test('is symmetric and at least one', () => {
    fc.assert(
      fc.property(color, color, (a, b) => {
        expect(contrast(a, b)).toBe(contrast(b, a))
        expect(contrast(a, b)).toBeGreaterThanOrEqual(1)
      }),
    )
  })

  test('ensureContrast leaves a good colour alone', () => {
    const navy = requireHex('#1a2a6c')
    expect(ensureContrast(navy, lightSurfaces)).toEqual(navy)
  })
})

describe('a brand of any colour', () => {
  test('can be read, in light and in dark', () => {
    fc.assert(
      fc.property(color, (value) => {
        const brand = brandTokens(formatHex(value))
        if (!brand) throw new Error('a colour was refused')
        for (const [tokens, surfaces] of [
          [brand.light, lightSurfaces],
          [brand.dark, darkSurfaces],
        ] as const) {
          const accent = requireHex(tokens['--accent'])
          const text = requireHex(tokens['--accent-text'])
          const ink = requireHex(tokens['--accent-ink'])
          expect(contrast(ink, accent)).toBeGreaterThanOrEqual(4.5)
          expect(tokens['--brand']).toBe(formatHex(value))
          expect(contrast(requireHex(tokens['--brand-ink']), value)).toBeGreaterThanOrEqual(4.5)
          expect(contrast(ink, requireHex(tokens['--accent-hover']))).toBeGreaterThanOrEqual(4.5)
          for (const surface of surfaces) {
            expect(contrast(accent, surface)).toBeGreaterThanOrEqual(3)
            expect(contrast(text, surface)).toBeGreaterThanOrEqual(4.5)
          }
          expect(contrast(text, requireHex(tokens['--accent-soft']))).toBeGreaterThanOrEqual(4.5)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('gives ink of 4.5:1 on any fill', () => {
    fc.assert(
      fc.property(color, (value) => {
        expect(contrast(inkOn(value), value)).toBeGreaterThanOrEqual(4.5)
      }),
    )
  })

  test('lets nothing but hex colours into the style sheet', () => {
    expect(brandCss('#fff;}body{display:none', 'url(x)')).toBe('')
    expect(brandCss('#0055ff', '#FF0')).toMatch(
      /^:root\{(--[a-z0-9-]+:#[0-9a-f]{6};?)+\}@media not print\{:root\.dark\{(--[a-z0-9-]+:#[0-9a-f]{6};?)+\}\}:root\{--brand-line:#ffff00\}$/,
    )
  })
})
