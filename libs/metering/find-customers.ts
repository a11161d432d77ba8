import { tenantQuery } from '@/libs/db/tenant-db'
import { nothingNamed } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { currentContext } from '@/libs/tenancy/tenant-context'

/**
 * Ids of the customers that ids or external ids name, in their order; null for what names nobody. Where a text is the id of one
 * customer and the external id of another, it is the id.
 */
export async function findCustomerIds(refs: readonly string[]): Promise<(string | null)[]> {
  const rows = await tenantQuery<{ id: string | null }>(
    `select coalesce(
       (select c.id from customers c where c.tenant_id = $1 and c.id = r.id),
       (select c.id from customers c where c.tenant_id = $1 and c.external_id = r.name)) as id
     from unnest($2::text[], $3::uuid[]) with ordinality r (name, id, place) order by r.place`,
    [currentContext().tenantId, refs, refs.map((ref) => (isUuid(ref) ? ref : null))],
  )
  return rows.map(({ id }) => id)
}

/** Id of the customer that an id or external id names, null when there is none. */
export async function findCustomerId(ref: string): Promise<string | null> {
  const [id = null] = await findCustomerIds([ref])
  return id
}

/** Id of the customer that a filter names, null without a filter. @throws AppError not_found when it names nobody. */
export async function resolveCustomerFilter(ref: string | undefined): Promise<string | null> {
  if (ref === undefined) return null
  const id = await findCustomerId(ref)
  if (id === null) throw nothingNamed('/customer', 'customer')
  return id
}
