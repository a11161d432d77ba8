import { notFound } from 'next/navigation'
import { expect, test } from 'vitest'
import { failureTitle } from '@/libs/ui/shell/failure-title'

test('a page that is not there is called that, one whose database is away is not', () => {
  const caught = (work: () => unknown): unknown => {
    try {
      return work()
    } catch (error) {
      return error
    }
  }
  expect(failureTitle(caught(notFound))).toBe('Page not found')
  expect(failureTitle(Object.assign(new Error('connect ECONNREFUSED'), { digest: '1280404' }))).toBe(
    'Something went wrong',
  )
})
