import { z } from 'zod'
import { operation } from '@/libs/api-utils/openapi'
import { operatorTenant, suspendInput, tenantStats } from './schema'

const tag = 'Operators'
const params = z.object({ id: z.string().meta({ description: 'Id or slug of a tenant', example: 'acme' }) })
const common = { tag, auth: 'user' as const, params, success: [200, operatorTenant] as [200, typeof operatorTenant] }

export const paths = {
  '/api/v1/tenants/stats': {
    get: operation({
      summary: 'Get figures over all tenants',
      description: 'For operators.',
      tag,
      auth: 'user',
      success: [200, tenantStats],
    }),
  },
  '/api/v1/tenants/{id}/activate': {
    post: operation({ summary: 'Open a tenant', description: 'For `super_admin`.', ...common }),
  },
  '/api/v1/tenants/{id}/suspend': {
    post: operation({
      summary: 'Close a tenant at once: portal, sessions and keys',
      description: 'For `super_admin`.',
      body: suspendInput,
      example: { reason: 'Invoices are open' },
      bodyOptional: true,
      ...common,
    }),
  },
  '/api/v1/tenants/{id}/restore': {
    post: operation({ summary: 'Bring a deleted tenant back', description: 'For `super_admin`.', ...common }),
  },
}
