import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import { acceptInput, customerLogin, customerLoginInput, customerLoginListQuery } from './schema'

const tag = 'Customers'
const params = z.object({ id: z.uuid().meta({ description: 'Id of the login or invitation' }) })

export const paths = {
  '/api/v1/customer-logins': {
    get: operation({
      summary: 'List portal logins and invitations',
      tag,
      permission: 'customers:read',
      query: customerLoginListQuery,
      success: [200, pageOf(customerLogin)],
    }),
    post: operation({
      summary: 'Invite a person to the portal',
      tag,
      permission: 'customers:write',
      body: customerLoginInput,
      example: { customer_id: '0198c0de-0000-7000-8000-000000000001', email: 'ann@example.com' },
      limited: true,
      success: [201, customerLogin],
    }),
  },
  '/api/v1/customer-logins/{id}': {
    delete: operation({
      summary: 'End a portal login',
      tag,
      permission: 'customers:write',
      params,
      success: [204, null],
    }),
  },
  '/api/v1/customer-logins/accept': {
    post: operation({
      summary: 'Accept an invitation to a portal',
      tag,
      auth: 'user',
      body: acceptInput,
      example: { token: 'theTokenInTheLinkOfTheInvitationThatWasSent' },
      success: [200, z.object({ customer_id: z.uuid() })],
    }),
  },
}
