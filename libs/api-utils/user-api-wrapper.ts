import { readCaller } from '@/libs/auth/credentials'
import { AppError, notFound, unauthenticated } from '@/libs/errors'
import type { Actor } from '@/libs/tenancy/tenant-context'
import { nameAsSent } from './name-as-sent'
import { traceOf } from './request-facts'
import { answer, type RouteHandler, type RouteParams, readParams } from './route-handler'
import { requireSameOrigin } from './same-origin'

export type UserRequestContext = {
  user: { id: string; email: string }
  actor: Actor
  params: RouteParams
  requestId: string
  /** The tenant on whose portal the session was opened, or null. */
  portalOf: string | null
}

/**
 * A route of a signed-in user that is about no tenant (who am I, create a tenant). API keys belong to a tenant and are
 * refused like any other credential that is not a user's; with a session of a portal there is nothing, but where `onPortals`
 * says so: what is beyond the tenant is none of its portal's business. @throws AppError unauthenticated, not_found.
 */
export function withUserAuth(
  handler: (request: Request, context: UserRequestContext) => Promise<Response>,
  { onPortals = false } = {},
): RouteHandler {
  const named = nameAsSent(handler)
  return (request, route) =>
    answer(request, async (facts, trace) => {
      const caller = await readCaller(request, { cached: false })
      if (caller?.kind === 'api_key')
        throw new AppError('unauthenticated', 'This is asked as a person: send an access token, not an API key.')
      if (!caller) throw unauthenticated()
      if (caller.by === 'cookie') requireSameOrigin(request)
      const { portal_of: portalOf } = caller
      if (portalOf !== null && !onPortals) throw notFound()
      trace.actor = `user:${caller.user.id}`
      const actor: Actor = {
        id: caller.user.id,
        kind: 'user',
        permissions: [],
        label: caller.user.email,
        ...traceOf(facts),
      }
      const { requestId } = facts
      return named(request, { user: caller.user, actor, params: await readParams(route), requestId, portalOf })
    })
}
