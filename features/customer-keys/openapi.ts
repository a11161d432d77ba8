import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import {
  creditsInput,
  customerKey,
  customerKeyInput,
  customerKeyListQuery,
  customerKeyPatch,
  newCustomerKey,
  rotationInput,
  verification,
  verifyInput,
} from './schema'

const tag = 'Customer keys'
const params = z.object({ id: z.uuid().meta({ description: 'Id of the key' }) })

export const paths = {
  '/api/v1/customer-keys': {
    get: operation({
      summary: 'List customer keys',
      tag,
      permission: 'customer-keys:read',
      query: customerKeyListQuery,
      success: [200, pageOf(customerKey)],
    }),
    post: operation({
      summary: 'Create a key for a customer’s program',
      tag,
      permission: 'customer-keys:write',
      body: customerKeyInput,
      example: {
        external_id: 'customer-42',
        name: 'Production',
        permissions: ['documents.read'],
        ratelimits: [{ name: 'requests', limit: 100, duration_ms: 60_000, auto_apply: true }],
        remaining: 1_000,
      },
      success: [201, newCustomerKey],
    }),
  },
  '/api/v1/customer-keys/verify': {
    post: operation({
      summary: 'Verify a customer key',
      tag,
      description:
        'Whether a key is good for a call, and takes what the call costs: permissions, then rate limits, then credits. Credits are taken exactly, in all processes together; a key that is changed or revoked is known as such everywhere within a tenth of a second. With an `Idempotency-Key` a repeat within a day takes nothing and gets the first answer, whatever that was.',
      permission: 'usage:write',
      body: verifyInput,
      example: { key: 'key_theKeyOfYourCustomer', permissions: 'documents.read', credits: { cost: 1 } },
      success: [200, verification],
    }),
  },
  '/api/v1/customer-keys/{id}': {
    get: operation({
      summary: 'Get a customer key',
      tag,
      permission: 'customer-keys:read',
      params,
      success: [200, customerKey],
    }),
    patch: operation({
      summary: 'Change a customer key',
      tag,
      permission: 'customer-keys:write',
      params,
      body: customerKeyPatch,
      example: { enabled: false },
      success: [200, customerKey],
    }),
    delete: operation({
      summary: 'Revoke a customer key',
      tag,
      permission: 'customer-keys:write',
      params,
      success: [200, customerKey],
    }),
  },
  '/api/v1/customer-keys/{id}/credits': {
    post: operation({
      summary: 'Set, add or take credits',
      tag,
      permission: 'customer-keys:write',
      params,
      body: creditsInput,
      example: { operation: 'increment', value: 500 },
      success: [200, customerKey],
    }),
  },
  '/api/v1/customer-keys/{id}/rotate': {
    post: operation({
      summary: 'Rotate a customer key',
      tag,
      description: 'A successor with a new secret; the old key works for the grace, sharing its credits and limits.',
      permission: 'customer-keys:write',
      params,
      body: rotationInput,
      example: { grace: '1h' },
      bodyOptional: true,
      success: [201, newCustomerKey],
    }),
  },
}
