import { runAsOperator } from '@/libs/db/operator-db'
import { repeatUndone } from './repeat-undone'
import type { RouteHandler } from './route-handler'
import { type UserRequestContext, withUserAuth } from './user-api-wrapper'

/**
 * A route of the operator console: the handler runs in one registry transaction of the signed-in operator, which is
 * read-only for `support`. Who is not an operator gets the same 404 as for a path that is not there.
 */
export function withOperatorAuth(
  handler: (request: Request, context: UserRequestContext) => Promise<Response>,
): RouteHandler {
  return withUserAuth((request, context) =>
    repeatUndone(request, (mine) => runAsOperator(context.actor, () => handler(mine, context))),
  )
}
