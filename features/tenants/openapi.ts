import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import { explanation, me, ownTenant, ownTenantListQuery, tenant, tenantChange, tenantInfo, tenantInput } from './schema'

const tag = 'Tenants'
const params = z.object({ id: z.string().meta({ description: 'Id or slug of a tenant, or `current`' }) })

const create = operation({
  summary: 'Create a tenant',
  tag,
  auth: 'user',
  description:
    'A signed-in user becomes its owner, on the plan free or basic, for as many tenants as one user may own. Operators take any ' +
    'plan and may name the first owner (`owner_user_id`, `owner_email`). Without a slug one is made of the name. A slug that ' +
    'cannot be had is answered with `suggestions`.',
  body: tenantInput,
  success: [201, tenant],
})

const change = {
  tag,
  permission: 'tenants:write',
  description: 'Operators may change the `plan` as well.',
  params,
  body: tenantChange,
  success: [200, tenant] as [200, typeof tenant],
}

export const paths = {
  '/api/v1/me': {
    get: operation({ summary: 'Get who is signed in, and their tenants', tag, auth: 'user', success: [200, me] }),
  },
  '/api/v1/tenants': {
    get: operation({
      summary: 'List tenants',
      tag,
      auth: 'user',
      description: 'Their own for a user, all of them for an operator.',
      query: ownTenantListQuery,
      success: [200, pageOf(ownTenant)],
    }),
    post: create,
  },
  '/api/v1/tenants/create': { post: { ...create, operationId: undefined } },
  '/api/v1/tenants/{id}': {
    get: operation({ summary: 'Get a tenant', tag, permission: 'tenants:read', params, success: [200, tenant] }),
    patch: operation({ summary: 'Change a tenant', ...change }),
    put: operation({ summary: 'Change a tenant: what is left out stays', ...change }),
    delete: operation({
      summary: 'Delete a tenant, with 30 days to restore it',
      tag,
      description: 'For an owner, or an operator.',
      permission: 'tenants:write',
      params,
      success: [200, tenant],
    }),
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
