import { describe, expect, it } from 'vitest'
import { int4Array, textArray, uuidArray } from '@/libs/db/array-parameters'

describe('arrays in binary format', () => {
  it('says how many elements of which type follow', () => {
    const buffer = int4Array([7, -1])
    const words = Array.from({ length: buffer.length / 4 }, (_, index) => buffer.readInt32BE(index * 4))
    expect(words).toEqual([1, 0, 23, 2, 1, 4, 7, 4, -1])
  })

  it('refuses what is no UUID', () => {
    expect(() => uuidArray(['00000000-0000-4000-8000-00000000000'])).toThrow(TypeError)
    expect(() => uuidArray(['zz000000-0000-4000-8000-000000000000'])).toThrow(TypeError)
  })

  it('marks that nulls occur', () => {
    expect(textArray(['a']).readInt32BE(4)).toBe(0)
    expect(textArray(['a', null]).readInt32BE(4)).toBe(1)
  })
})
