import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { AppError } from '@/libs/errors'
import { notePageFailure } from '@/libs/health/page-answer'
import { answerPage } from '@/processes/web/answer-page'

const failures: Record<string, Error | null> = {
  '/away': Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), { code: 'ECONNREFUSED' }),
  '/busy': new AppError('unavailable', 'The service is busy or restarting.'),
  // As Next throws it, whose bundle has another class of that name.
  '/bundled': Object.assign(new Error('The service is busy or restarting.'), { code: 'unavailable' }),
  '/broken': new TypeError('x is undefined'),
}

const server = createServer((request, response) =>
  answerPage(response, async () => {
    await setImmediate()
    const failure = failures[request.url ?? ''] ?? null
    if (failure) notePageFailure(failure)
    await setImmediate()
    response.statusCode = failure ? 500 : 200
    response.end('a page')
  }),
)
server.listen(0, '127.0.0.1')
afterAll(() => server.close())

test('a page whose database does not answer is a 503 that passes; a fault of ours stays a 500, and what is made is a 200', async () => {
  const { port } = server.address() as AddressInfo
  const answers = await Promise.all(
    ['/away', '/broken', '/', '/busy', '/bundled'].map(async (path) => {
      const { status, headers } = await fetch(`http://127.0.0.1:${port}${path}`)
      return [path, status, headers.get('retry-after')]
    }),
  )
  expect(answers).toEqual([
    ['/away', 503, '1'],
    ['/broken', 500, null],
    ['/', 200, null],
    ['/busy', 503, '1'],
    ['/bundled', 503, '1'],
  ])
})
