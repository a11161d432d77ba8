import { z } from 'zod'
import { whenFieldsAreRight } from '@/libs/api-utils/cross-field'
import { pageQuery } from '@/libs/api-utils/page'
import { nameInput } from '@/libs/api-utils/text-input'
import { isTimeZone, spellTimeZone } from '@/libs/api-utils/time-zone-input'
import { TENANT_STATUSES } from '@/libs/tenancy/tenant-status'

const tenantStatus = z.enum(TENANT_STATUSES)

const name = nameInput(120)
const description = z.string().trim().max(2_000)
const timeZone = z
  .string()
  .refine(isTimeZone, 'must be an IANA time zone such as Europe/Berlin')
  .transform(spellTimeZone)
  .meta({ description: 'IANA name', example: 'Europe/Berlin' })
const billingEmail = z
  .string()
  .trim()
  .max(320)
  .pipe(z.email('must be an e-mail address'))
  .meta({ format: 'email', example: 'billing@example.com' })
const isShort = (value: unknown): boolean => JSON.stringify(value).length <= 16_384
const TOO_LONG = 'may have at most 16 KiB'
const metadata = z.record(z.string(), z.unknown()).refine(isShort, TOO_LONG)
const plan = z
  .string()
  .trim()
  .toLowerCase()
  .regex(/^[a-z][a-z0-9_-]{1,30}$/, 'must be the name of a plan')
  .meta({ description: 'free, basic (starter), premium (pro), enterprise or custom', example: 'basic' })

/** The label of a tenant's address: letters, digits and inner hyphens. */
const slugInput = z
  .string()
  .trim()
  .toLowerCase()
  .min(2, 'must have at least 2 characters')
  .max(48, 'may have at most 48 characters')
  .regex(/^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/, 'may hold a-z, 0-9 and, inside, hyphens')
  .refine((slug) => !slug.startsWith('xn--') && !slug.includes('--'), 'may not hold two hyphens in a row')
  .meta({ example: 'acme' })

const hostname = z
  .string()
  .trim()
  .toLowerCase()
  .max(253)
  .regex(/^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$/, 'must be a host name')

/**
 * A new tenant. `slug` may be left out: it is made of the name then. What a plan does not settle (`max_users`,
 * `max_storage` in GB, `features`, `settings`) is kept with the tenant as asked for.
 */
export const tenantInput = z
  .strictObject({
    name,
    slug: slugInput.optional(),
    subdomain: slugInput.optional(),
    domain: hostname.optional(),
    description: description.optional(),
    plan: plan.optional(),
    billing_plan: plan.optional(),
    time_zone: timeZone.optional(),
    billing_email: billingEmail.optional(),
    max_users: z.number().int().min(1).max(100_000_000).optional(),
    max_storage: z.number().min(0).max(1_000_000_000).optional(),
    features: z.record(z.string().max(64), z.boolean()).refine(isShort, TOO_LONG).optional(),
    settings: z.record(z.string().max(64), z.unknown()).refine(isShort, TOO_LONG).optional(),
    metadata: metadata.optional(),
  })
  .refine(({ slug, subdomain }) => !slug || !subdomain || slug === subdomain, {
    path: ['subdomain'],
    error: 'must be the slug: a tenant has one address below the root domain',
    ...whenFieldsAreRight,
  })
  .refine(({ plan, billing_plan }) => !plan || !billing_plan || plan === billing_plan, {
    path: ['billing_plan'],
    error: 'is another name for plan; send one',
    ...whenFieldsAreRight,
  })

/** What the people of a tenant may change of it. */
export const tenantChange = z.strictObject({
  name: name.optional(),
  description: description.optional(),
  time_zone: timeZone.optional(),
  billing_email: billingEmail.nullable().optional(),
  metadata: metadata.optional(),
})

export const ownTenantListQuery = pageQuery.extend({
  q: z.string().trim().max(120).optional().meta({ description: 'In the name or the slug' }),
  status: tenantStatus.optional().meta({ description: 'All but deleted ones when left out' }),
  plan: plan.optional(),
  sort: z
    .enum(['newest', 'oldest', 'name'])
    .default('newest')
    .meta({ description: 'By when they were made, or by name' }),
})

/** A tenant as its own people see it. */
export const tenant = z
  .object({
    id: z.uuid(),
    slug: z.string(),
    name: z.string(),
    description: z.string(),
    status: tenantStatus,
    plan_id: z.string(),
    time_zone: z.string(),
    billing_email: z.string().nullable(),
    metadata: z.record(z.string(), z.unknown()),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
    activated_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Tenant' })

export const ownTenant = z.object({
  id: z.uuid(),
  slug: z.string(),
  name: z.string(),
  status: tenantStatus,
  plan_id: z.string(),
  role: z.string(),
  created_at: z.iso.datetime(),
})

export const tenantInfo = z.object({
  id: z.uuid(),
  slug: z.string(),
  name: z.string(),
  status: tenantStatus,
  time_zone: z.string(),
  role: z.string(),
  plan: z.object({
    id: z.string(),
    name: z.string(),
    limits: z.record(z.string(), z.number().nullable()),
    features: z.record(z.string(), z.boolean()),
  }),
  branding: z.object({
    display_name: z.string(),
    primary_color: z.string(),
    accent_color: z.string(),
    support_url: z.string().nullable(),
  }),
})

export const explanation = z.object({
  sources: z.array(
    z.object({
      source: z.enum(['host', 'header', 'path', 'query', 'jwt', 'api_key']),
      value: z.string(),
      resolved: z.boolean().meta({ description: 'Whether it names a tenant that you belong to' }),
      won: z.boolean(),
    }),
  ),
  tenant: z.object({ id: z.uuid(), slug: z.string(), name: z.string() }).nullable(),
  code: z.enum(['not_found', 'tenant_mismatch', 'tenant_suspended', 'bad_request']).nullable().meta({
    description: 'The error that a request with these sources gets; null when it is served',
  }),
})

export const me = z.object({
  user: z.object({ id: z.uuid(), email: z.string() }),
  operator: z.enum(['super_admin', 'support']).nullable(),
  tenants: z.array(ownTenant),
})

export type TenantInput = z.infer<typeof tenantInput>
export type TenantChange = z.infer<typeof tenantChange>
export type OwnTenantListQuery = z.infer<typeof ownTenantListQuery>

/** What is asked for beyond what a plan settles is kept with the tenant, for whoever decides about it. */
export function readWishes({ metadata = {}, max_users, max_storage, features, settings }: Partial<TenantInput>) {
  const requested = { max_users, max_storage, features, settings }
  const given = Object.fromEntries(Object.entries(requested).filter(([, value]) => value !== undefined))
  return Object.keys(given).length > 0 ? { ...metadata, requested: given } : metadata
}
