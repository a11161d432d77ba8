import { AppError } from '@/libs/errors'

/** The answer to what the client can ask and we have nothing for. */
export function notSupported(what: string): AppError {
  return new AppError('not_found', `${what} is not supported here.`)
}
