// Names as callers write them: one line of which something can be seen, because they go into mails and tables as they are.
import { expect, test } from 'vitest'
import { givenNameInput, lineInput, nameInput } from '@/libs/api-utils/text-input'

test.each([' Acme ', '株式会社', '🦄', 'a\u200db', '<script>', '=1+1'])('%j is a name', (name) =>
  expect(nameInput(20).parse(name)).toBe(name.trim()),
)

test.each(['', '  ', '\u200b', '\u202e\u2066', '\ufeff', 'a\nb', 'a\u0007', 'a\u009b', 'x'.repeat(21)])(
  '%j is none, and is told why once',
  (name) => expect(nameInput(20).safeParse(name).error?.issues.length).toBeGreaterThanOrEqual(1),
)

test('a line may be empty, but is one line', () => {
  expect(lineInput(5).parse(' ')).toBe('')
  expect(lineInput(5).safeParse('a\nb').success).toBe(false)
})

test('what others call something is as long as it has characters', () => {
  expect(givenNameInput(5).safeParse('🦄'.repeat(5)).success).toBe(true)
  expect(givenNameInput(5).safeParse('🦄'.repeat(6)).error?.issues[0]?.message).toBe('may have at most 5 characters')
  expect(givenNameInput(5).safeParse('a\u0007').success).toBe(false)
})
