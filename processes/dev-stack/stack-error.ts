/**
 * A failure that the person at the terminal can act on. `message` is one sentence saying what is wrong,
 * `way_out` one sentence saying what to do about it; both are shown without a stack trace.
 */
export class StackError extends Error {
  readonly way_out: string

  constructor(message: string, wayOut: string) {
    super(message)
    this.name = 'StackError'
    this.way_out = wayOut
  }
}

/** The way out of a full disk, whoever it was that met it. */
export const FREE_SPACE =
  'Free some space (2 GB are enough), or choose another disk: DATA_DIR=/path/elsewhere npm start'

/** The way out of a failure: of a full disk, in whoever's words it is told, to make room. */
export function findWayOut({ message, way_out }: StackError): string {
  return /No space left on device|ENOSPC|wrote only \d+ of \d+ bytes/.test(message) ? FREE_SPACE : way_out
}

const NO_ROOM = new Set(['ENOSPC', 'EDQUOT'])
const NOT_ALLOWED = new Set(['EACCES', 'EPERM', 'EROFS'])

/** A failure of the file system as a person reads it; null for any other error. */
export function describeFileError(error: unknown): StackError | null {
  if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) return null
  const place = 'path' in error && typeof error.path === 'string' ? error.path : 'a file'
  if (NO_ROOM.has(error.code)) {
    return new StackError(`There is no room left on the disk (writing ${place}).`, FREE_SPACE)
  }
  if (!NOT_ALLOWED.has(error.code)) return null
  return new StackError(
    `${place} cannot be read or written by this user (was Holdfast once started as another one?).`,
    'Make it yours (chown), or start afresh beside it: DATA_DIR=.data-mine npm start',
  )
}
