'use client'

import type { Customer } from '@/features/customers/components/customer-dialog'
import { t } from '@/libs/ui/messages'
import { toast } from '@/libs/ui/toast'
import { useApiFetch, useMutation } from '@/libs/ui/use-api'

/** Archives a customer, with the way back in the toast, or brings it back; `onChanged` is told each time. */
export function useArchiveCustomer(onChanged: () => void): (customer: Customer, archived: boolean) => void {
  const api = useApiFetch()
  const archive = useMutation(
    ({ customer, archived }: { customer: Customer; archived: boolean }, options) =>
      api<Customer>(`/customers/${customer.id}`, { method: 'PATCH', body: { archived }, ...options }),
    {
      onSuccess: (_, { customer, archived }) => {
        onChanged()
        const name = customer.name ?? customer.external_id
        if (archived) {
          toast.undo(t('customers.archived', { name }), () => void archive.run({ customer, archived: false }))
        } else toast.success(t('customers.restored', { name }))
      },
      onError: (problem) => toast.problem(problem),
    },
  )
  return (customer, archived) => void archive.run({ customer, archived })
}
