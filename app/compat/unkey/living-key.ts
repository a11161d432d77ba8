import type { CustomerKeyRow } from '@/features/customer-keys/services/customer-key-row'
import { getCustomerKey } from '@/features/customer-keys/services/customer-key-service'
import { notFound } from '@/libs/errors'

/** A key that was not deleted: one that was is not there, for this wire. @throws AppError not_found. */
export async function livingKey(id: string): Promise<CustomerKeyRow> {
  const row = await getCustomerKey(id)
  if (row.revoked_at) throw notFound()
  return row
}
