import { z } from 'zod'
import { pageQuery } from '@/libs/api-utils/page'
import { TENANT_STATUSES } from '@/libs/tenancy/tenant-status'

const email = z.string().trim().toLowerCase().max(320).pipe(z.email('must be an e-mail address'))

/** Who owns a tenant that an operator makes; without one it waits for its first owner. */
export const ownerInput = z
  .object({ owner_user_id: z.uuid().optional(), owner_email: email.optional() })
  .refine(({ owner_user_id, owner_email }) => Boolean(owner_user_id) === Boolean(owner_email), {
    path: ['owner_email'],
    error: 'goes together with owner_user_id',
  })

export const suspendInput = z.strictObject({
  reason: z
    .string()
    .trim()
    .min(1, 'must say why')
    .max(500)
    .optional()
    .meta({ description: 'Why, for the record and for other operators' }),
})

const planName = z
  .string()
  .trim()
  .toLowerCase()
  .regex(/^[a-z][a-z0-9_-]{1,30}$/, 'must be the name of a plan')

/** The plan of a tenant, by both of its names, as for a new one. */
export const planChange = {
  plan: planName.optional().meta({ description: 'For operators alone' }),
  billing_plan: planName.optional().meta({ description: 'Another name for plan' }),
}

export const operatorTenantQuery = pageQuery.extend({
  q: z.string().trim().max(120).optional(),
  status: z.enum(TENANT_STATUSES).optional(),
  plan: planName.optional(),
  sort: z.enum(['newest', 'oldest', 'name']).default('newest'),
})

/** A tenant as the platform's staff sees it: the registry, nothing of the tenant's own data. */
export const operatorTenant = z
  .object({
    id: z.uuid(),
    slug: z.string(),
    name: z.string(),
    description: z.string(),
    status: z.enum(TENANT_STATUSES),
    plan_id: z.string(),
    time_zone: z.string(),
    billing_email: z.string().nullable(),
    metadata: z.record(z.string(), z.unknown()),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
    activated_at: z.iso.datetime().nullable(),
    suspended_at: z.iso.datetime().nullable(),
    suspended_reason: z.string().nullable(),
    deleted_at: z.iso.datetime().nullable(),
    purge_after: z.iso.datetime().nullable(),
    owner_email: z.string().nullable(),
    members: z.number().int(),
    domains: z.array(z.object({ hostname: z.string(), status: z.string() })),
    placement: z.object({ database: z.string(), kind: z.string(), state: z.string() }),
  })
  .meta({ id: 'OperatorTenant' })

const counts = z.record(z.string(), z.number().int())

export const tenantStats = z.object({
  total: z.number().int().meta({ description: 'Tenants that are not deleted' }),
  by_status: counts,
  by_plan: counts,
  created_per_day: z
    .array(z.object({ day: z.iso.date(), count: z.number().int() }))
    .meta({ description: 'The last 30 days in UTC, today included' }),
  onboarding: z.object({
    started: z.number().int(),
    completed: z.number().int(),
    rate: z.number().meta({ description: 'completed / started, 0 to 1' }),
  }),
  suspensions: z.object({
    present: z.number().int(),
    last_30_days: z.number().int().meta({ description: 'Tenants that were suspended in this time, open again or not' }),
  }),
})

export type OperatorTenantQuery = z.infer<typeof operatorTenantQuery>
