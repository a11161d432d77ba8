import { tenantQuery } from '@/libs/db/tenant-db'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { type CustomerRow, SELECT_CUSTOMERS } from './customer-service'

export type CustomerPageQuery = {
  /** From 1. */
  page: number
  page_size: number
  external_id?: string | undefined
  name?: string | undefined
  email?: string | undefined
  archived: boolean
}

const pattern = (text: string | undefined): string | null =>
  text === undefined ? null : `%${text.replace(/[\\%_]/g, '\\$&')}%`

/** Customers by number of page, the oldest first, and how many there are; parts of names are enough. */
export async function listCustomerPage(query: CustomerPageQuery): Promise<{ total: number; data: CustomerRow[] }> {
  const { page, page_size, external_id, name, email, archived } = query
  const [found] = await tenantQuery<{ total: number; ids: string[] }>(
    `with chosen as (
       select c.id, c.created_at from customers c
       where c.tenant_id = $1 and ($2 or c.archived_at is null) and ($3::text is null or c.external_id ilike $3)
         and ($4::text is null or c.name ilike $4) and ($5::text is null or c.email ilike $5)
     )
     select (select count(*)::integer from chosen) as total,
       array(select id::text from chosen order by created_at, id limit $6 offset $7) as ids`,
    [
      currentContext().tenantId,
      archived,
      pattern(external_id),
      pattern(name),
      pattern(email),
      page_size,
      (page - 1) * page_size,
    ],
  )
  const data = await tenantQuery<CustomerRow>(
    `${SELECT_CUSTOMERS} where c.tenant_id = $1 and c.id = any ($2) order by c.created_at, c.id`,
    [currentContext().tenantId, found?.ids ?? []],
  )
  return { total: found?.total ?? 0, data }
}
