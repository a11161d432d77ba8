import type { IncomingMessage } from 'node:http'
import { AppError } from '@/libs/errors'

/** More than browsers keep for a host. */
const MOST_COOKIES = 300
const MOST_PARAMETERS = 1_000

const countOf = (text: string, sign: string): number => text.split(sign).length

/**
 * What is too much of in a request, or null. Next goes through all cookies for each cookie, and through all parameters of the
 * query for each of them: as many as fit into the headers would keep it busy for seconds, for whoever asks.
 */
export function findExcess({ headers, url = '/' }: Pick<IncomingMessage, 'headers' | 'url'>): AppError | null {
  if (countOf(headers.cookie ?? '', ';') > MOST_COOKIES)
    return new AppError('headers_too_large', `A request may carry at most ${MOST_COOKIES} cookies.`)
  if (countOf(url, '&') > MOST_PARAMETERS)
    return new AppError('bad_request', `A query may have at most ${MOST_PARAMETERS} parameters.`)
  return null
}
