import { tenantQuery } from '@/libs/db/tenant-db'
import { notFound } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { currentContext } from '@/libs/tenancy/tenant-context'

/** Id of the customer a grant was given to. @throws AppError not_found. */
export async function findGrantOwner(grantId: string): Promise<string> {
  if (!isUuid(grantId)) throw notFound()
  const [row] = await tenantQuery<{ customer_id: string }>(
    'select customer_id from grants where tenant_id = $1 and id = $2',
    [currentContext().tenantId, grantId],
  )
  if (!row) throw notFound()
  return row.customer_id
}
