import { z } from 'zod'

export const activeCustomers = z
  .object({
    from: z.iso.date().meta({ description: 'The first of the 30 days, which end with today' }),
    customers: z.number().int(),
  })
  .meta({ id: 'ActiveCustomers' })

export type ActiveCustomers = z.infer<typeof activeCustomers>
