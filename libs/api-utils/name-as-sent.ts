import { AppError, type InputError } from '@/libs/errors'
import { asSent } from './field-names'

/** What was read of a request: its query, its body, or both. */
const readOf = new WeakMap<Request, object[]>()

/** Remembers fields that were read of a request, under the names they are read by. */
export function noteRead(request: Request, fields: unknown): void {
  if (typeof fields === 'object' && fields !== null) readOf.set(request, [...(readOf.get(request) ?? []), fields])
}

type Handler<Context> = (request: Request, context: Context) => Promise<Response>

/** A handler that names what is refused as it was sent, also where a service refuses it long after it was read. */
export function nameAsSent<Context>(handler: Handler<Context>): Handler<Context> {
  return async (request, context) => {
    try {
      return await handler(request, context)
    } catch (error) {
      const read = readOf.get(request)
      throw read && error instanceof AppError && error.details.errors
        ? rename(error, error.details.errors, read)
        : error
    }
  }
}

function rename(error: AppError, errors: readonly InputError[], read: readonly object[]): AppError {
  const renamed = errors.map((input) => read.reduce(asSentIn, input))
  const message = errors.reduce(
    (words, { pointer }, at) => words.replace(pointer, () => renamed[at]?.pointer ?? pointer),
    error.message,
  )
  return new AppError(error.code, message, { ...error.details, errors: renamed }, error.cause)
}

const asSentIn = (input: InputError, fields: object): InputError => asSent(fields, input)
