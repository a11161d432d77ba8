import { AppError, notFound, suspendedTenant } from '@/libs/errors'

type DatabaseError = Error & { code?: string; detail?: string; constraint?: string; table?: string; column?: string }

/** SQLSTATEs the kernel raises; see supabase/migrations/*_kernel.sql and *_tenants.sql. */
const STALE_ROUTING = 'TM001'

/** Whether the caller should re-read the tenant's routing and try again. */
export function isStaleRouting(error: unknown): boolean {
  return error instanceof Error && (error as DatabaseError).code === STALE_ROUTING
}

/** Whether repeating the whole transaction may succeed: serialisation failure or deadlock. */
export function isRetryable(error: unknown): boolean {
  const code = error instanceof Error ? (error as DatabaseError).code : undefined
  return code === '40001' || code === '40P01'
}

/** Whether a statement was taken back for its time: that of waiting for a lock, or that of all it does. */
export function isTakenBack(error: unknown): boolean {
  const code = error instanceof Error ? (error as DatabaseError).code : undefined
  return code === '55P03' || code === '57014'
}

/** Whether a connection broke, or could not be had: what it was doing may or may not have been committed. */
export function isLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code = '' } = error as DatabaseError
  return (
    /^(?:ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EHOSTUNREACH|57P0|08)/.test(code) ||
    /Connection terminated|timeout exceeded|is not queryable/.test(error.message)
  )
}

const UNAVAILABLE = new Set(['40001', '40P01', '53300', '53200', '53100', '55P03', '58030', '25P03', STALE_ROUTING])

/**
 * What a database error means to the caller, or null when it is not one (then it is a fault of ours).
 * The database's own words are never forwarded: they may name what the caller must not learn.
 */
export function mapDatabaseError(error: unknown): AppError | null {
  if (!(error instanceof Error)) return null
  const { code = '' } = error as DatabaseError
  if (code === '57014') {
    return new AppError(
      'unavailable',
      'This took longer than it may. Try again in a moment; where it asks for much at once, ask for less.',
      { retry_after: 10 },
      error,
    )
  }
  if (UNAVAILABLE.has(code) || isLost(error)) {
    return new AppError(
      'unavailable',
      'The service is busy or restarting. Try again in a moment.',
      { retry_after: 1 },
      error,
    )
  }
  // Data exceptions: what was sent is no value of its type, or too large for it. Who divides by zero is ourselves.
  if (code.startsWith('22') && code !== '22012')
    return new AppError('invalid_input', 'A value is outside of what is allowed.', {}, error)
  switch (code) {
    case 'TM002':
      return suspendedTenant(error)
    case 'TM003':
    case 'TM004':
    case 'TM005':
      return notFound()
    case 'TM006':
      return new AppError(
        'idempotency_mismatch',
        'This Idempotency-Key was used before with another request.',
        {},
        error,
      )
    case 'TM007':
      return new AppError('plan_limit_reached', 'You own as many tenants as one user may.', {}, error)
    case 'TM008':
      return new AppError(
        'invalid_input',
        'This slug is reserved.',
        { errors: [{ pointer: '/slug', detail: 'is reserved' }] },
        error,
      )
    case 'TM009':
      return new AppError('unavailable', 'No database takes new tenants at the moment.', { retry_after: 60 }, error)
    case 'TM026':
      return new AppError(
        'conflict',
        'The time zone cannot change any more: days were billed or sealed in the one there is.',
        {},
        error,
      )
    case '23505':
    case '23P01':
      return new AppError('conflict', 'Something with the same key exists already.', {}, error)
    case '23503':
      return new AppError('conflict', 'Something this depends on is missing, or still in use.', {}, error)
    case '23502':
    case '23514':
      return new AppError('invalid_input', 'A value is outside of what is allowed.', {}, error)
    case '25006':
      return new AppError('forbidden', 'This access is read-only.', {}, error)
    case '42501':
      return new AppError('forbidden', 'You may not do this.', {}, error)
    default:
      return null
  }
}
