import { runAsOperator } from '@/libs/db/operator-db'
import { newId } from '@/libs/ids'
import { getTenant, type OperatorTenant } from './operator-tenant-service'

/** The tenant a page of the console is about, for an operator. @throws AppError not_found. */
export function getPageTenant(user: { id: string; email: string }, name: string): Promise<OperatorTenant> {
  const actor = { id: user.id, kind: 'user', permissions: [], label: user.email, request_id: newId() } as const
  return runAsOperator(actor, () => getTenant(name))
}
