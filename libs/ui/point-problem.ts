import { ApiProblem } from '@/libs/ui/api-client'

/**
 * A problem of one kind (such as `conflict`) as a fault of the one field that it is about, so that a form marks it there.
 * Everything else, and what names its fields already, stays as it is.
 * @example catch (error) { throw pointProblem(error, 'conflict', '/slug') }
 */
export function pointProblem(error: unknown, code: string, pointer: string, detail?: string): unknown {
  if (!(error instanceof ApiProblem) || error.code !== code || error.errors.length > 0) return error
  const { status, title, request_id } = error
  return new ApiProblem(status, {
    code,
    title,
    detail: error.detail,
    ...(request_id ? { request_id } : {}),
    errors: [{ pointer, detail: detail ?? error.detail }],
  })
}
