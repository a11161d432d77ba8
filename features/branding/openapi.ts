import { operation } from '@/libs/api-utils/openapi'
import { branding, brandingInput } from './schema'

const tag = 'Branding'

export const paths = {
  '/api/v1/branding': {
    get: operation({ summary: 'How the portal looks', tag, permission: 'branding:read', success: [200, branding] }),
    put: operation({
      summary: 'Change how the portal looks',
      tag,
      permission: 'branding:write',
      body: brandingInput,
      example: { display_name: 'Acme', primary_color: '#0f766e', support_url: 'https://acme.example/help' },
      success: [200, branding],
    }),
  },
}
