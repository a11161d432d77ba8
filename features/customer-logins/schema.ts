import { z } from 'zod'
import { pageQuery } from '@/libs/api-utils/page'

export const customerLoginInput = z
  .strictObject({
    customer_id: z.uuid().meta({ description: 'Whose usage the person will see' }),
    email: z
      .email()
      .max(320)
      .transform((email) => email.toLowerCase()),
  })
  .meta({ id: 'CustomerLoginInput' })

export const customerLogin = z
  .object({
    id: z.uuid(),
    customer_id: z.uuid(),
    email: z.string(),
    status: z.enum(['invited', 'accepted', 'expired']),
    created_at: z.iso.datetime(),
    expires_at: z.iso.datetime().nullable(),
    accepted_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'CustomerLogin' })

export const customerLoginListQuery = pageQuery.extend({
  customer_id: z.uuid().optional().meta({ description: 'Those of one customer' }),
})

export const acceptInput = z
  .strictObject({ token: z.string().regex(/^[\w-]{43}$/, 'is not a token of an invitation') })
  .meta({ id: 'AcceptCustomerLogin' })

export type CustomerLoginInput = z.infer<typeof customerLoginInput>
export type CustomerLoginListQuery = z.infer<typeof customerLoginListQuery>
