import { operatorQuery, runAsOperator } from '@/libs/db/operator-db'
import { AppError } from '@/libs/errors'
import { nameAsSent } from './name-as-sent'
import { repeatUndone } from './repeat-undone'
import type { RouteHandler } from './route-handler'
import { isSafeMethod } from './same-origin'
import { type UserRequestContext, withUserAuth } from './user-api-wrapper'
import { takeWholeBody } from './whole-body'

/**
 * A route of the operator console: the handler runs in one registry transaction of the signed-in operator, which is
 * read-only for `support`. Who is not an operator gets the same 404 as for a path that is not there.
 */
export function withOperatorAuth(
  handler: (request: Request, context: UserRequestContext) => Promise<Response>,
): RouteHandler {
  const named = nameAsSent(handler)
  return withUserAuth(async (request, context) =>
    repeatUndone(await takeWholeBody(request), (mine) =>
      runAsOperator(context.actor, async () => {
        if (!isSafeMethod(mine.method)) await requireWriter()
        return named(mine, context)
      }),
    ),
  )
}

/** Said before anything is read of the request: whether it is right, or would change anything, is nothing to support. */
async function requireWriter(): Promise<void> {
  const [row] = await operatorQuery<{ reads: string }>(`select current_setting('transaction_read_only') as reads`)
  if (row?.reads === 'on') throw new AppError('forbidden', 'This access is read-only.')
}
