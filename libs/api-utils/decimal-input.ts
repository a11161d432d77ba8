import { z } from 'zod'
import { expandNumber, isNegative, subtractDecimals } from '@/libs/ingest/decimal'
import { whenFieldsAreRight } from './cross-field'
import { takeDigits } from './taken-numbers'

// What is written is a pattern without lookahead, because not everybody who reads the OpenAPI document knows those.
const SHAPES = {
  any: { words: '', written: /^-?\d{1,30}(\.\d{1,20})?$/, pattern: /^-?\d{1,30}(\.\d{1,20})?$/ },
  zero: { words: ' of zero or more', written: /^\d{1,30}(\.\d{1,20})?$/, pattern: /^\d{1,30}(\.\d{1,20})?$/ },
  more: {
    words: ' of more than zero',
    written: /^\d{1,30}(\.\d{1,20})?$/,
    pattern: /^(?=.*[1-9])\d{1,30}(\.\d{1,20})?$/,
  },
} as const

/**
 * An exact amount: a number, or decimal text, read as decimal text without an exponent. `least` says how small it may be.
 * Whatever is wrong with it is said in the same words.
 */
export function decimalInput(least: keyof typeof SHAPES) {
  const { words, written, pattern } = SHAPES[least]
  const error = `must be a number or decimal text${words}, with at most 30 digits before the point and 20 after it`
  const number = z.number({ error }).lt(1e30, { error })
  const bounded = { any: number.gt(-1e30, { error }), zero: number.min(0, { error }), more: number.gt(0, { error }) }
  return (
    z
      .preprocess(takeDigits, z.union([bounded[least], z.string({ error }).regex(written, { error })], { error }))
      .transform((amount) => (typeof amount === 'number' ? expandNumber(amount) : amount))
      .refine((text) => pattern.test(text), { error })
      // For the OpenAPI document: what is prepared before it is read would pass for something that may be left out.
      .nonoptional()
  )
}

/** What is left at a reset carries over as min(max, max(left, min)): both ends of it, or `max` alone. */
export const rolloverInput = z.union([
  decimalInput('zero').transform((max) => ({ min: '0', max })),
  z
    .strictObject({ min: decimalInput('zero').prefault(0), max: decimalInput('zero') })
    .refine(({ min, max }) => !isNegative(subtractDecimals(max, min)), {
      path: ['min'],
      error: 'must not be above max',
      ...whenFieldsAreRight,
    }),
])
