// The five code examples of the design this product grew from, and its two tests, as they were written: the same imports,
// the same names, the same shapes of calls. Only the data around them is ours.
import { beforeAll, describe, expect, it } from 'vitest'
import { POST as postTier } from '@/app/api/v1/tiers/route'
import { POST as postUsage } from '@/app/api/v1/usage/track/route'
import { TenantUsageTrackingService } from '@/features/usage-tracking/services/tenant-usage-tracking-service'
import { TenantAnalytics } from '@/libs/analytics/tenant-analytics'
import { ApiResponse, withTenantAuth, withTenantContext } from '@/libs/api-utils/tenant-api-wrapper'
import { AuditLogger } from '@/libs/audit/audit-logger'
import { ConnectorEventsService } from '@/libs/connectors/connector-events'
import { tenantDb, tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { getTenantContext, setTenantContext } from '@/libs/tenancy/tenant-context'
import { asSuperuser, asSystem, call, createWorld } from '../support/world'

const { acme, globex } = await createWorld()
const tenant1Id = acme.id
const tenant2Id = globex.id

beforeAll(async () => {
  for (const tenant of [acme, globex])
    await asSystem(tenant, async () => {
      for (const slug of ['api-calls', 'api-calls-meter-id'])
        await tenantQuery('insert into meters (id, slug, name) values ($1, $2, $3)', [newId(), slug, 'API calls'])
    })
  await asSuperuser(
    "insert into domains (tenant_id, id, hostname, status, verified_at) values ($1, $2, 'tenant-custom-domain.com', 'verified', now())",
    [acme.id, newId()],
  )
})

const countOf = async (table: string, tenantId: string, column: string, value: string) => {
  const [row] = await asSuperuser<{ n: number }>(
    `select count(*)::int as n from ${table} where tenant_id = $1 and ${column} = $2`,
    [tenantId, value],
  )
  return row?.n
}

describe('context setting', () => {
  it('sets and gets the tenant of what follows', async () => {
    const tenantId = tenant1Id
    // Set tenant context for database operations
    await setTenantContext(tenantId)

    // Get current tenant context
    const currentTenant = await getTenantContext()

    expect(currentTenant).toBe(tenantId)
  })
})

describe('tenant-aware wrappers', () => {
  const processData = async (userId: string) => ({ userId, tenant: await getTenantContext() })

  const POST = withTenantAuth(async (_request, context) => {
    // Tenant context automatically available
    // All operations respect tenant isolation

    const data = await processData(context.user.id)
    return ApiResponse.success(data)
  })

  it.each([
    ['a branded subdomain', { host: 'acme.localhost:3000' }],
    ['a custom domain', { host: 'tenant-custom-domain.com' }],
    ['the platform', { tenant: acme }],
  ])('withTenantAuth on %s', async (_, address) => {
    const { status, body } = await call(POST, 'POST', '/api/v1/data', { as: acme.users.admin, body: {}, ...address })
    expect(status).toBe(200)
    expect(body).toEqual({ userId: acme.users.admin.id, tenant: acme.id })
  })

  it('withTenantContext finds the tenant for somebody who is not signed in', async () => {
    const GET = withTenantContext(async (_request, context) => ApiResponse.success({ tenantId: context.tenantId }))
    for (const host of ['acme.localhost:3000', 'tenant-custom-domain.com'])
      expect((await call(GET, 'GET', '/api/v1/anything', { host })).body).toEqual({ tenantId: acme.id })
  })
})

describe('services', () => {
  it('usage tracking', async () => {
    await setTenantContext(tenant1Id)

    await TenantUsageTrackingService.trackUsage({
      meter_id: 'api-calls',
      user_id: 'customer-id',
      event_value: 1,
    })

    expect(await countOf('customers', acme.id, 'external_id', 'customer-id')).toBe(1)
    expect(await countOf('customers', globex.id, 'external_id', 'customer-id')).toBe(0)
  })

  it('audit logger', async () => {
    await setTenantContext(tenant1Id)
    const userId = 'customer-id'
    const oldData = { name: 'Before', plan: 'basic' }
    const newData = { name: 'After', plan: 'basic' }

    await AuditLogger.logUserUpdated(userId, oldData, newData)

    const [row] = await asSuperuser(
      `select tenant_id, before, after from audit_logs join audit_details using (tenant_id, id)
       where action = 'user.updated' and target_id = 'customer-id'`,
    )
    expect(row).toEqual({ tenant_id: acme.id, before: { name: 'Before' }, after: { name: 'After' } })
  })

  it('analytics', async () => {
    await setTenantContext(tenant1Id)
    const [distinctId, endpoint, method] = ['customer-id', '/api/v1/data', 'GET']

    await TenantAnalytics.trackApiCall(distinctId, endpoint, method)

    expect(await countOf('analytics_events', acme.id, 'distinct_id', distinctId)).toBe(1)
    expect(await countOf('analytics_events', globex.id, 'distinct_id', distinctId)).toBe(0)
  })

  it('connector events', async () => {
    await setTenantContext(tenant1Id)
    const [channel, message, userId] = ['#general', 'Deployed', 'customer-id']

    await ConnectorEventsService.logSlackMessage(channel, message, userId)

    expect(await countOf('connector_events', acme.id, 'target', channel)).toBe(1)
    expect(await countOf('connector_events', globex.id, 'target', channel)).toBe(0)
  })
})

describe('the API', () => {
  const addresses: [string, { host: string }][] = [
    ['a branded subdomain', { host: 'acme.localhost:3000' }],
    ['a custom domain', { host: 'tenant-custom-domain.com' }],
  ]

  it.each(addresses)('POST /api/v1/usage/track on %s', async (_, address) => {
    const { status, body } = await call(postUsage, 'POST', '/api/v1/usage/track', {
      as: acme.api_key,
      body: {
        meter_id: 'api-calls-meter-id',
        user_id: 'customer-user-id',
        event_value: 1,
        properties: {
          endpoint: '/api/v1/data',
          method: 'GET',
        },
      },
      ...address,
    })
    expect(status).toBe(200)
    expect(body).toMatchObject({ inserted: 1, duplicates: 0, rejected: [] })
  })

  it.each(addresses)('POST /api/v1/tiers on %s', async (name, address) => {
    const { status, body } = await call(postTier, 'POST', '/api/v1/tiers', {
      as: acme.api_key,
      body: {
        name: name === 'a custom domain' ? 'Professional' : 'Professional Plus',
        price: 49.99,
        usage_caps: {
          api_calls: 100000,
          projects: 50,
        },
        feature_entitlements: ['custom_domain', 'api_access'],
      },
      ...address,
    })
    expect(status).toBe(201)
    expect(body).toMatchObject({ name: expect.stringMatching(/^Professional/), price: 49.99 })
    expect(Object.keys(body.usage_caps).sort()).toEqual(['api_calls', 'projects'])
  })
})

// Test that tenants cannot access each other's data
describe('Tenant Isolation', () => {
  const getData = () => tenantDb().selectFrom('customers').select(['tenant_id', 'id', 'external_id']).execute()

  it('should prevent cross-tenant data access', async () => {
    await setTenantContext(tenant1Id)
    const data1 = await getData()

    await setTenantContext(tenant2Id)
    const data2 = await getData()

    expect(data1).not.toContain(data2)
    // The line above would hold for any two lists, so here is what it means:
    expect(new Set(data1.map((row) => row.tenant_id))).toEqual(new Set([tenant1Id]))
    expect(new Set(data2.map((row) => row.tenant_id))).toEqual(new Set([tenant2Id]))
  })
})

// Test usage enforcement across tenants
describe('Usage Enforcement', () => {
  const [userId, meterId, requestedAmount] = ['customer-1', 'api-calls', 10]

  it('should enforce limits per tenant', async () => {
    await setTenantContext(tenant1Id)
    const result = await TenantUsageTrackingService.checkUsageEnforcement(userId, meterId, requestedAmount)
    expect(result.allowed).toBe(true)
  })

  it('and a cap of one tenant is no cap of another', async () => {
    await asSystem(globex, async () => {
      const [tier, cap] = [newId(), newId()]
      await tenantQuery("insert into tiers (id, slug, name, is_default) values ($1, 'small', 'Small', true)", [tier])
      await tenantQuery(
        "insert into tier_caps (id, tier_id, meter_id, cap_limit) select $1, $2, id, 5 from meters where slug = 'api-calls'",
        [cap, tier],
      )
    })
    await setTenantContext(tenant2Id)
    const refused = await TenantUsageTrackingService.checkUsageEnforcement(userId, meterId, requestedAmount)
    expect(refused.allowed).toBe(false)
    await setTenantContext(tenant1Id)
    const allowed = await TenantUsageTrackingService.checkUsageEnforcement(userId, meterId, requestedAmount)
    expect(allowed.allowed).toBe(true)
  })
})
