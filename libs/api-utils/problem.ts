import { mapDatabaseError } from '@/libs/db/errors'
import { AppError, ERROR_STATUS, type ErrorCode } from '@/libs/errors'
import { log } from '@/libs/log'
import { publicOrigin } from '@/libs/tenancy/public-origin'

const TITLES: Record<ErrorCode, string> = {
  bad_request: 'Bad request',
  unauthenticated: 'Not signed in',
  plan_limit_reached: 'Limit of the plan reached',
  feature_not_in_plan: 'Not part of the plan',
  forbidden: 'Not allowed',
  tenant_mismatch: 'The request names different tenants',
  key_disabled: 'API key disabled',
  ip_not_allowed: 'Address not allowed',
  not_found: 'Not found',
  method_not_allowed: 'Method not allowed',
  request_timeout: 'Request not finished in time',
  conflict: 'Conflict',
  reservation_expired: 'Reservation expired',
  changed_meanwhile: 'Changed meanwhile',
  payload_too_large: 'Too large',
  unsupported_media_type: 'Media type not supported',
  invalid_input: 'Invalid input',
  idempotency_mismatch: 'Idempotency key used before',
  tenant_suspended: 'Tenant suspended',
  tenant_read_only: 'Tenant is read-only',
  rate_limited: 'Too many requests',
  headers_too_large: 'Headers too large',
  internal: 'Internal error',
  unavailable: 'Not available at the moment',
}

/** What went wrong, as the one error class: known errors as they are, database errors mapped, the rest `internal`. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error
  const mapped = mapDatabaseError(error)
  if (mapped) return mapped
  return new AppError('internal', 'Something went wrong on our side. The request id tells us where to look.', {}, error)
}

/** The problem document (RFC 9457) of an error, as application/problem+json. Faults of ours are logged, never shown. */
export function problemResponse(thrown: unknown, requestId: string): Response {
  const error = toAppError(thrown)
  const status = ERROR_STATUS[error.code]
  if (status >= 500) log.error({ request_id: requestId, err: error.cause ?? error }, error.message)
  const { errors, retry_after, upgrade, extra } = error.details
  const headers = new Headers({ 'content-type': 'application/problem+json', 'x-request-id': requestId })
  if (retry_after !== undefined) headers.set('retry-after', String(Math.max(1, Math.ceil(retry_after))))
  if (error.code === 'unauthenticated') headers.set('www-authenticate', 'Bearer')
  const body = {
    type: `${publicOrigin('app')}/docs/errors#${error.code}`,
    title: TITLES[error.code],
    status,
    detail: error.message,
    code: error.code,
    request_id: requestId,
    ...(errors ? { errors } : {}),
    ...(upgrade ? { upgrade } : {}),
  }
  // Whatever else is said comes last, and takes the place of nothing that every problem says.
  return new Response(JSON.stringify({ ...body, ...extra, ...body }), { status, headers })
}
