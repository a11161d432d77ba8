import { containsPattern } from '@/libs/db/like-pattern'
import { tenantQuery } from '@/libs/db/tenant-db'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { type CustomerRow, SELECT_CUSTOMERS } from './customer-service'

export type CustomerPageQuery = {
  /** From 1. */
  page: number
  page_size: number
  external_id?: string | undefined
  /** Part of a name it goes by in events. */
  subject?: string | undefined
  name?: string | undefined
  email?: string | undefined
  archived: boolean
  order_by?: 'created_at' | 'name' | 'id' | undefined
  descending?: boolean | undefined
}

const pattern = (text: string | undefined): string | null => (text === undefined ? null : containsPattern(text))

const ORDERS = { created_at: 'c.created_at', name: 'coalesce(c.name, c.external_id)', id: 'c.id' } as const

/** Customers by number of page, the oldest first unless asked otherwise, and how many there are; parts of names are enough. */
export async function listCustomerPage(query: CustomerPageQuery): Promise<{ total: number; data: CustomerRow[] }> {
  const { page, page_size, external_id, subject, name, email, archived, order_by = 'created_at', descending } = query
  const order = `${ORDERS[order_by]} ${descending ? 'desc' : 'asc'}, c.id ${descending ? 'desc' : 'asc'}`
  const [found] = await tenantQuery<{ total: number; ids: string[] }>(
    `with chosen as (
       select c.id, row_number() over (order by ${order}) as place from customers c
       where c.tenant_id = $1 and ($2 or c.archived_at is null)
         and ($3::text is null or c.external_id ilike $3 or exists (
           select from customer_subjects s where s.tenant_id = $1 and s.customer_id = c.id and s.place is null and s.subject ilike $3))
         and ($4::text is null or c.name ilike $4) and ($5::text is null or c.email ilike $5)
         and ($8::text is null or c.external_id ilike $8 or exists (
           select from customer_subjects s where s.tenant_id = $1 and s.customer_id = c.id and s.subject ilike $8))
     )
     select (select count(*)::integer from chosen) as total,
       array(select id::text from chosen order by place limit $6 offset $7) as ids`,
    [
      currentContext().tenantId,
      archived,
      pattern(external_id),
      pattern(name),
      pattern(email),
      page_size,
      (page - 1) * page_size,
      pattern(subject),
    ],
  )
  const data = await tenantQuery<CustomerRow>(
    `${SELECT_CUSTOMERS} where c.tenant_id = $1 and c.id = any ($2) order by array_position($2::uuid[], c.id)`,
    [currentContext().tenantId, found?.ids ?? []],
  )
  return { total: found?.total ?? 0, data }
}

export type CustomerSpanQuery = {
  limit: number
  /** The id of a customer that the page begins after, or ends before; the newest customers come first. */
  after?: string | undefined
  before?: string | undefined
  email?: string | undefined
  /** Made from then on, and before then. */
  from?: Date | undefined
  to?: Date | undefined
}

/** Customers that are not archived beside one of them, the newest first, and whether there are more in that direction. */
export async function listCustomerSpan(query: CustomerSpanQuery): Promise<{ more: boolean; data: CustomerRow[] }> {
  const { limit, after, before, email, from, to } = query
  const [order, beyond] = before === undefined ? ['desc', '<'] : ['asc', '>']
  const rows = await tenantQuery<CustomerRow>(
    `${SELECT_CUSTOMERS}
     where c.tenant_id = $1 and c.archived_at is null and ($2::text is null or c.email = $2)
       and ($3::timestamptz is null or c.created_at >= $3) and ($4::timestamptz is null or c.created_at < $4)
       and ($5::uuid is null or (c.created_at, c.id) ${beyond} (select p.created_at, p.id from customers p where p.tenant_id = $1 and p.id = $5))
     order by c.created_at ${order}, c.id ${order} limit $6`,
    [currentContext().tenantId, email ?? null, from ?? null, to ?? null, before ?? after ?? null, limit + 1],
  )
  const data = rows.slice(0, limit)
  return { more: rows.length > limit, data: before === undefined ? data : data.reverse() }
}
