// Filters of texts as OpenMeter's clients write them, of events that are looked through one by one.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isLike, passesFilter } from '@/app/compat/openmeter/filter-string'

const toExpression = (pattern: string) =>
  pattern.replace(/\\?./gsu, (part) => {
    if (part === '%') return '[^]*'
    if (part === '_') return '[^]'
    return (part.length > 1 && part.startsWith('\\') ? part.slice(1) : part).replace(/[.*+?^${}()|[\]\\/]/u, '\\$&')
  })
const joined = (parts: string[], maxLength: number) =>
  fc.array(fc.constantFrom(...parts), { maxLength }).map((list) => list.join(''))

test('a pattern is what the regular expression of it would be', () => {
  const text = joined(['a', 'b', '%', '_', '\\', '.', '😀', '\n'], 8)
  const pattern = joined(['a', 'b', '%', '%', '_', '\\%', '\\\\', '\\', '.', '😀'], 7)
  fc.assert(
    fc.property(text, pattern, (one, like) => {
      expect(isLike(one, like)).toBe(new RegExp(`^${toExpression(like)}$`, 'u').test(one))
    }),
    { numRuns: 5_000 },
  )
})

test('a pattern of many wildcards answers at once', () => {
  const started = performance.now()
  expect(isLike('a'.repeat(255), `${'%a'.repeat(120)}b`)).toBe(false)
  expect(isLike('a'.repeat(255), `${'%a'.repeat(120)}%`)).toBe(true)
  expect(performance.now() - started).toBeLessThan(200)
})

test('case counts, unless it is asked not to', () => {
  expect(passesFilter('Käse', { $like: 'kÄ%' })).toBe(false)
  expect(passesFilter('Käse', { $ilike: 'kÄ%' })).toBe(true)
  expect(passesFilter('Käse', { $nilike: '_Ä__' })).toBe(false)
})
