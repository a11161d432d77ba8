import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import { apiKey, apiKeyInput, apiKeyListQuery, apiKeyRotation, newApiKey } from './schema'

const tag = 'API keys'
const params = z.object({ id: z.uuid().meta({ description: 'Id of the key' }) })

export const paths = {
  '/api/v1/api-keys': {
    get: operation({
      summary: 'List API keys',
      tag,
      permission: 'api-keys:read',
      query: apiKeyListQuery,
      success: [200, pageOf(apiKey)],
    }),
    post: operation({
      summary: 'Create an API key',
      tag,
      description: 'Only a person can: no key makes keys.',
      permission: 'api-keys:write',
      body: apiKeyInput,
      example: { name: 'Backend', permissions: ['usage:read', 'usage:write'] },
      success: [201, newApiKey],
    }),
  },
  '/api/v1/api-keys/{id}': {
    get: operation({ summary: 'Get an API key', tag, permission: 'api-keys:read', params, success: [200, apiKey] }),
    delete: operation({
      summary: 'Revoke an API key',
      tag,
      permission: 'api-keys:write',
      params,
      success: [200, apiKey],
    }),
  },
  '/api/v1/api-keys/{id}/disable': {
    post: operation({
      summary: 'Disable an API key',
      tag,
      description:
        'Calls with it are refused at once, on every port and wire, with 403 `key_disabled`, until it is enabled again. Disabling it again changes nothing.',
      permission: 'api-keys:write',
      params,
      success: [200, apiKey],
    }),
  },
  '/api/v1/api-keys/{id}/enable': {
    post: operation({
      summary: 'Enable an API key',
      tag,
      description: 'It works again as it did. A key that was revoked stays so: 409.',
      permission: 'api-keys:write',
      params,
      success: [200, apiKey],
    }),
  },
  '/api/v1/api-keys/{id}/rotate': {
    post: operation({
      summary: 'Rotate an API key',
      tag,
      description:
        'A new key with the same name, rights and length of life; the old one still works for the grace. The successor of a disabled key is disabled too. Only a person can, as with a new key.',
      permission: 'api-keys:write',
      params,
      body: apiKeyRotation,
      example: { grace: '1h' },
      bodyOptional: true,
      success: [201, newApiKey],
    }),
  },
}
