import { describe, expect, test } from 'vitest'
import { zonedMoment } from '@/libs/api-utils/moment'

describe('a moment', () => {
  test.each([
    '0001-01-01T00:00:00Z',
    '9999-12-31T23:59:59.999Z',
    '0001-01-01T00:00:00-14:00',
    '9999-12-31T23:59:59+14:00',
    '2026-11-21T09:30:00.123456Z',
  ])('can be answered as it is taken: %s', (text) => {
    expect(zonedMoment.safeParse(text).success).toBe(true)
    expect(new Date(text).toISOString()).toMatch(/^\d{4}-/)
  })

  test.each(['0001-01-01T00:00:00+14:00', '9999-12-31T23:59:59-14:00'])(
    'that is of another millennium in UTC is refused: %s',
    (text) => {
      expect(zonedMoment.safeParse(text).error?.issues).toMatchObject([
        { message: 'must lie in the years 1 to 9999, in UTC' },
      ])
    },
  )
})
