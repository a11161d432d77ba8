/** Every error code a caller can meet, with the status it is answered with. The one table of the product. */
export const ERROR_STATUS = {
  bad_request: 400,
  unauthenticated: 401,
  plan_limit_reached: 402,
  feature_not_in_plan: 402,
  forbidden: 403,
  tenant_mismatch: 403,
  key_disabled: 403,
  ip_not_allowed: 403,
  not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  conflict: 409,
  reservation_expired: 409,
  changed_meanwhile: 409,
  payload_too_large: 413,
  unsupported_media_type: 415,
  invalid_input: 422,
  idempotency_mismatch: 422,
  tenant_suspended: 423,
  tenant_read_only: 423,
  rate_limited: 429,
  headers_too_large: 431,
  internal: 500,
  unavailable: 503,
} as const

export type ErrorCode = keyof typeof ERROR_STATUS

/** One thing wrong with the input: a JSON pointer (RFC 6901) into it and what is expected there. */
export type InputError = { pointer: string; detail: string }

export type ErrorDetails = {
  errors?: InputError[]
  /** Whole seconds until a repeat makes sense. */
  retry_after?: number
  /** What to buy or ask for, as data for the upgrade prompt. */
  upgrade?: { reason: string; current_plan: string; plans: string[] }
  /** Further members of the problem document. */
  extra?: Record<string, unknown>
}

/** The one error of the product: thrown anywhere, answered as application/problem+json by the wrapper. */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'AppError'
    this.code = code
    this.details = details
  }
}

/** The answer for what is not there and for what is not yours: the same bytes. */
export function notFound(): AppError {
  return new AppError('not_found', 'There is nothing here, or nothing you may see.')
}

/** The answer for a parameter that names nothing: 404 as well, but it says which one it was. */
export function nothingNamed(pointer: string, what: string): AppError {
  const detail = `there is no such ${what}`
  return new AppError('not_found', `Check ${pointer}: ${detail}.`, { errors: [{ pointer, detail }] })
}

/** The answer for every reason a caller is not known. */
export function unauthenticated(): AppError {
  return new AppError('unauthenticated', 'Sign in, or send a valid API key or access token.')
}

/** The answer to whoever sends a key that is right, and disabled. */
export function disabledKey(): AppError {
  return new AppError(
    'key_disabled',
    'This API key is disabled. Whoever manages the keys of the tenant can enable it again.',
  )
}

/** The answer to a change while a tenant is read-only. */
export function readOnlyTenant(cause?: unknown): AppError {
  return new AppError('tenant_read_only', 'This tenant is read-only at the moment.', {}, cause)
}

/** The answer to everything while a tenant is suspended. */
export function suspendedTenant(cause?: unknown): AppError {
  const words = 'This tenant is suspended. Ask the platform operator to activate it.'
  return new AppError('tenant_suspended', words, {}, cause)
}

/** What is looked up; null where there is none. */
export async function orNull<Found>(lookUp: Promise<Found>): Promise<Found | null> {
  try {
    return await lookUp
  } catch (error) {
    if (error instanceof AppError && error.code === 'not_found') return null
    throw error
  }
}

/** The words of an error, for a log or a record; of anything else that was thrown, what it is as text. */
export function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The answer for one thing wrong with the input: where it is (a JSON pointer), and what is expected there. */
export function invalidInput(pointer: string, detail: string, cause?: unknown): AppError {
  return new AppError('invalid_input', `Check ${pointer}.`, { errors: [{ pointer, detail }] }, cause)
}
