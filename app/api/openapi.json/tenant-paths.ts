import { z } from 'zod'
import { operatorTenant, ownerInput, planChange } from '@/features/operator/schema'
import { paths as ofTenants } from '@/features/tenants/openapi'
import { ownTenant, ownTenantListQuery, tenant, tenantChange, tenantInput } from '@/features/tenants/schema'
import { operation, pageOf } from '@/libs/api-utils/openapi'

const tag = 'Tenants'
const params = z.object({
  id: z.string().meta({ description: 'Id or slug of a tenant, or `current`', example: 'current' }),
})

/** The staff of the platform is answered with what the registry knows of a tenant, everybody else with the tenant. */
const eitherTenant = z.union([tenant, operatorTenant])

const create = operation({
  summary: 'Create a tenant',
  tag,
  auth: 'user',
  description:
    'A signed-in user becomes its owner, on the plan free or basic, for as many tenants as one user may own. Operators take any ' +
    'plan and may name the first owner (`owner_user_id`, `owner_email`). Without a slug one is made of the name. A slug that ' +
    'cannot be had is answered with `suggestions`.',
  body: tenantInput.safeExtend(ownerInput.shape),
  example: { name: 'Acme', time_zone: 'Europe/Berlin' },
  repeatable: true,
  refusals: { '402': 'You own as many tenants as one user may' },
  success: [201, eitherTenant],
})

const change = {
  tag,
  permission: 'tenants:write',
  description: 'Operators may change the `plan` as well.',
  params,
  body: tenantChange.safeExtend(planChange),
  example: { name: 'Acme', time_zone: 'Europe/Berlin' },
  success: [200, eitherTenant] as [200, typeof eitherTenant],
}

/** The operations on tenants, of which those that users and operators share answer both. */
export const paths = {
  ...ofTenants,
  '/api/v1/tenants': {
    get: operation({
      summary: 'List tenants',
      tag,
      auth: 'user',
      description: 'Their own for a user, all of them for an operator.',
      query: ownTenantListQuery,
      success: [200, pageOf(z.union([ownTenant, operatorTenant]))],
    }),
    post: create,
  },
  '/api/v1/tenants/create': { post: create },
  '/api/v1/tenants/{id}': {
    get: operation({ summary: 'Get a tenant', tag, permission: 'tenants:read', params, success: [200, eitherTenant] }),
    patch: operation({ summary: 'Change a tenant', ...change }),
    put: operation({ summary: 'Change a tenant: what is left out stays', ...change }),
    delete: operation({
      summary: 'Delete a tenant, with 30 days to restore it',
      tag,
      description: 'For an owner, or an operator.',
      permission: 'tenants:write',
      params,
      success: [200, eitherTenant],
    }),
  },
}
