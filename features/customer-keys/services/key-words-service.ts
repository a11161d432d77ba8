import { tenantQuery } from '@/libs/db/tenant-db'
import { invalidInput } from '@/libs/errors'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { CustomerKeyRow } from './customer-key-row'
import { getCustomerKey, requireLivingKey } from './customer-key-service'

export type WordChange = {
  field: 'permissions' | 'roles'
  operation: 'add' | 'remove' | 'set'
  words: readonly string[]
}

const CHANGES = {
  add: (field: string) => `${field} || array(select w from unnest($3::text[]) w where w <> all (${field}))`,
  remove: (field: string) =>
    `array(select w from unnest(${field}) with ordinality x (w, place) where w <> all ($3::text[]) order by place)`,
  set: () => '$3::text[]',
} as const
const MOST = 200

/**
 * Adds to, takes from or replaces the permissions or roles of a key, exactly, whatever else is changed meanwhile; effective
 * within a tenth of a second everywhere. @throws AppError not_found, conflict when it was revoked, invalid_input beyond 200.
 */
export async function changeKeyWords(id: string, { field, operation, words }: WordChange): Promise<CustomerKeyRow> {
  await requireLivingKey(id)
  const rows = await tenantQuery<{ count: number }>(
    `with changed as (select id, ${CHANGES[operation](field)} as words from customer_keys where tenant_id = $1 and id = $2 for update)
     update customer_keys k set ${field} = c.words, updated_at = clock_timestamp()
     from changed c where k.tenant_id = $1 and k.id = c.id and cardinality(c.words) <= ${MOST} returning cardinality(c.words) as count`,
    [currentContext().tenantId, id, [...new Set(words)]],
  )
  if (rows.length === 0) throw invalidInput(`/${field}`, `a key has at most ${MOST}`)
  return getCustomerKey(id)
}
