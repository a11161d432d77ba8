import { answer, type RouteHandler } from '@/libs/api-utils/route-handler'
import { requireSameOrigin } from '@/libs/api-utils/same-origin'
import { createAuthClient } from '@/libs/supabase/server-client'
import { requireAuthHost } from './auth-host'
import type { AuthRequest } from './auth-service'

/**
 * A route with which people sign in or out: from a page of this very host alone, on a host that is somebody's. The session
 * that comes of it goes into the answer's cookies. `orClosed`: on the portal of a suspended tenant too.
 */
export function withVisitor(
  handler: (request: Request, context: AuthRequest) => Promise<Response>,
  options: { orClosed?: boolean } = {},
): RouteHandler {
  return (request) =>
    answer(request, async (facts) => {
      requireSameOrigin(request)
      const host = await requireAuthHost(request, options)
      const client = createAuthClient(request)
      return client.respond(await handler(request, { client, host, facts }))
    })
}
