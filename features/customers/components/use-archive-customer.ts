'use client'

import type { Customer } from '@/features/customers/components/customer-dialog'
import { t } from '@/libs/ui/messages'
import { useArchive } from '@/libs/ui/use-archive'

/** Archives a customer, with the way back in the toast, or brings it back; `onChanged` is told each time. */
export function useArchiveCustomer(onChanged: () => void): (customer: Customer, archived: boolean) => void {
  return useArchive<Customer>(
    '/customers',
    (customer, archived) =>
      t(archived ? 'customers.archived' : 'customers.restored', { name: customer.name ?? customer.external_id }),
    onChanged,
  )
}
