import { operation } from '@/libs/api-utils/openapi'
import { explanation, me, tenantInfo } from './schema'

const tag = 'Tenants'
export const paths = {
  '/api/v1/me': {
    get: operation({ summary: 'Get who is signed in, and their tenants', tag, auth: 'user', success: [200, me] }),
  },
  '/api/v1/tenant/info': {
    get: operation({
      summary: 'Get the current tenant with its plan and brand',
      tag,
      permission: 'tenants:read',
      success: [200, tenantInfo],
    }),
  },
  '/api/v1/tenants/current/info': {
    get: operation({
      summary: 'Get the current tenant with its plan and brand',
      tag,
      permission: 'tenants:read',
      success: [200, tenantInfo],
    }),
  },
  '/api/v1/tenant/explain': {
    get: operation({
      summary: 'Explain which tenant a request is about',
      tag,
      description: 'Each source that names a tenant, its value, and which one won.',
      success: [200, explanation],
    }),
  },
}
