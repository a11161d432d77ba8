import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import { customer, customerInput, customerListQuery, customerPatch, subscription, subscriptionInput } from './schema'

const tag = 'Customers'
const params = z.object({ id: z.string().meta({ description: 'Id or external id', example: 'customer-42' }) })

export const paths = {
  '/api/v1/customers': {
    get: operation({
      summary: 'List customers',
      tag,
      description: 'The newest first.',
      permission: 'customers:read',
      query: customerListQuery,
      success: [200, pageOf(customer)],
    }),
    post: operation({
      summary: 'Add a customer',
      tag,
      permission: 'customers:write',
      body: customerInput,
      example: { external_id: 'customer-42', name: 'Bakery on the corner', email: 'ann@example.com' },
      success: [201, customer],
    }),
  },
  '/api/v1/customers/{id}': {
    get: operation({ summary: 'Get a customer', tag, permission: 'customers:read', params, success: [200, customer] }),
    patch: operation({
      summary: 'Change a customer',
      tag,
      permission: 'customers:write',
      params,
      body: customerPatch,
      example: { name: 'Bakery at the station' },
      success: [200, customer],
    }),
    delete: operation({
      summary: 'Archive a customer',
      tag,
      description: 'Its usage stays; new events are refused with `customer_archived`.',
      permission: 'customers:write',
      params,
      success: [200, customer],
    }),
  },
  '/api/v1/customers/{id}/subscription': {
    get: operation({
      summary: 'Get the tier of a customer',
      tag,
      permission: 'customers:read',
      params,
      success: [200, subscription],
    }),
    put: operation({
      summary: 'Give a customer a tier',
      tag,
      permission: 'customers:write',
      params,
      body: subscriptionInput,
      example: { tier: 'pro' },
      success: [200, subscription],
    }),
  },
}
