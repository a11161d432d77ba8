import { cutPage, type Page, readCursor } from '@/libs/api-utils/page'
import { tenantQuery } from '@/libs/db/tenant-db'
import { AppError, notFound } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { findCustomerId } from '@/libs/metering/find-customers'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { StripeCustomer, StripeCustomerInput, StripeCustomerListQuery } from '../schema'
import { getStripeExport, requireOpenExport } from './stripe-export-service'

type Stored = StripeCustomer

const SELECT = `
  select jsonb_build_object('id', c.id, 'external_id', c.external_id, 'name', c.name) as customer, s.stripe_customer_id,
    coalesce(s.linked, false) as linked
  from customers c left join stripe_customers s on s.tenant_id = $1 and s.account_id = $2 and s.mode = $3 and s.customer_id = c.id
  where c.tenant_id = $1`

/** Customers with who they are at Stripe, the newest first. @throws AppError not_found. */
export async function listStripeCustomers(
  exportId: string,
  { cursor, limit, q }: StripeCustomerListQuery,
): Promise<Page<StripeCustomer>> {
  const { account_id, mode } = await getStripeExport(exportId)
  const [before] = readCursor(cursor, isUuid)
  const rows = await tenantQuery<Stored>(
    `${SELECT} and ($4::uuid is null or c.id < $4)
       and ($5::text is null or strpos(lower(c.external_id || ' ' || coalesce(c.name, '')), lower($5)) > 0)
     order by c.id desc limit $6`,
    [currentContext().tenantId, account_id, mode, before, q || null, limit + 1],
  )
  return cutPage(rows, limit, ({ customer }) => [customer.id])
}

/**
 * Says which customer of Stripe a customer is: its usage goes there from the next increment on.
 * @throws AppError not_found, conflict when the account is not known yet or that customer is somebody else already.
 */
export async function linkStripeCustomer(
  exportId: string,
  customer: string,
  { stripe_customer_id }: StripeCustomerInput,
): Promise<StripeCustomer> {
  const { account_id, mode } = await requireOpenExport(exportId)
  if (!account_id) throw new AppError('conflict', 'The account is not known until its key has been accepted.')
  const { tenantId } = currentContext()
  const customerId = await findCustomerId(customer)
  if (!customerId) throw notFound()
  const [taken] = await tenantQuery<{ external_id: string }>(
    `select c.external_id from stripe_customers s join customers c on c.tenant_id = $1 and c.id = s.customer_id
     where s.tenant_id = $1 and s.account_id = $2 and s.mode = $3 and s.stripe_customer_id = $4 and s.customer_id <> $5`,
    [tenantId, account_id, mode, stripe_customer_id, customerId],
  )
  if (taken) throw new AppError('conflict', `${stripe_customer_id} is linked to ${taken.external_id} already.`)
  await tenantQuery(
    `insert into stripe_customers (tenant_id, account_id, mode, customer_id, stripe_customer_id, linked) values ($1, $2, $3, $4, $5, true)
     on conflict (tenant_id, account_id, mode, customer_id) do update
       set stripe_customer_id = excluded.stripe_customer_id, linked = true, updated_at = now()`,
    [tenantId, account_id, mode, customerId, stripe_customer_id],
  )
  const [row] = await tenantQuery<Stored>(`${SELECT} and c.id = $4`, [tenantId, account_id, mode, customerId])
  if (!row) throw notFound()
  return row
}
