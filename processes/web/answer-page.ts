import type { ServerResponse } from 'node:http'
import { withPageAnswer } from '@/libs/health/page-answer'

/**
 * Has a page answered. Next says 500 of every page that fails; of one whose database does not answer this makes a 503, as the
 * API says, so that proxies and monitors know that it passes.
 */
export function answerPage(response: ServerResponse, handle: () => void): void {
  const answer = { unavailable: false }
  const { writeHead } = response
  Object.assign(response, {
    writeHead: (status: number, ...rest: unknown[]) => {
      const passes = status === 500 && answer.unavailable
      if (passes) response.setHeader('retry-after', '1')
      return Reflect.apply(writeHead, response, [passes ? 503 : status, ...rest])
    },
  })
  withPageAnswer(answer, handle)
}
