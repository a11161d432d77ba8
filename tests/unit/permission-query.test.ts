import fc from 'fast-check'
import { expect, test } from 'vitest'
import { holdsPermissions, readPermissionQuery } from '@/features/customer-keys/services/permission-query'
import { AppError } from '@/libs/errors'

const holds = (held: string[], query: string) => holdsPermissions(new Set(held), readPermissionQuery(query))

test.each([
  [['a'], 'a', true],
  [[], 'a', false],
  [['a'], 'a AND b', false],
  [['a', 'b'], 'a and b', true],
  [['b'], 'a OR b', true],
  [['a'], 'a OR b AND c', true],
  [['b'], 'a OR b AND c', false],
  [['b', 'c'], '(a OR b) AND c', true],
  [['docs.*'], 'docs.read', true],
  [['docs.*'], 'docs.read.all', true],
  [['docs.*'], 'docs', false],
  [['docs.*'], 'documents.read', false],
  [['*'], 'anything', true],
  [['docs.read'], 'docs.*', false],
])('%j answers %s: %s', (held, query, expected) => {
  expect(holds(held, query)).toBe(expected)
})

test.each(['', '(', ')', 'a b', 'a AND', 'OR a', 'a AND OR b', '(a', 'a)', '()', '((((((((((((((((((((((a'])(
  '%j is no query',
  (text) => {
    expect(() => readPermissionQuery(text)).toThrow(AppError)
  },
)

test('any combination means what JavaScript means by it', () => {
  const { query } = fc.letrec<{ query: { text: string; code: string } }>((tie) => ({
    query: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom('a', 'b', 'c').map((word) => ({ text: word, code: `h.has('${word}')` })),
      fc.tuple(tie('query'), fc.constantFrom('AND', 'OR'), tie('query')).map(([left, word, right]) => ({
        text: `(${left.text}) ${word} (${right.text})`,
        code: `(${left.code}) ${word === 'AND' ? '&&' : '||'} (${right.code})`,
      })),
    ),
  }))
  fc.assert(
    fc.property(query, fc.subarray(['a', 'b', 'c']), ({ text, code }, held) => {
      const expected = new Function('h', `return ${code}`)(new Set(held))
      // Deeper than the parser allows is refused, which is another test.
      if ((text.match(/\(/g) ?? []).length <= 20) expect(holds(held, text)).toBe(expected)
    }),
  )
})
