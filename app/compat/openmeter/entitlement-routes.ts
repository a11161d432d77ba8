import type { z } from 'zod'
import { getCustomer } from '@/features/customers/services/customer-service'
import { entitlementInput, grantInput } from '@/features/entitlements/schema'
import { type Entitlement, listEntitlements } from '@/features/entitlements/services/entitlement-service'
import { cancelEntitlement, createEntitlement } from '@/features/entitlements/services/entitlement-write-service'
import { findGrantOwner } from '@/features/entitlements/services/grant-owner-service'
import { createGrant, type Grant, listGrants, voidGrant } from '@/features/entitlements/services/grant-service'
import { type FeatureRow, findFeature } from '@/features/features/services/feature-service'
import { parseInput } from '@/libs/api-utils/read-json'
import { ApiResponse, type TenantRequestContext } from '@/libs/api-utils/tenant-api-wrapper'
import { notFound } from '@/libs/errors'
import { entitlementBody, grantBody } from './entitlement-schema'
import { readFeatures } from './feature-routes'
import { invalid, openMeterRoute, pageOfAll, readAll, readExact, readPaging, readParameters } from './openmeter-route'
import { startOfDay, toRecurringPeriod } from './periods'

type Customer = { id: string; external_id: string }
type Answered = { customer: Customer; timeZone: string; features: readonly FeatureRow[] }

const numberOf = (value: number | string | null): number => Number(value ?? 0)

/** An entitlement that is its tier's has no id of its own and goes by its feature. */
const idOf = ({ id, feature_key }: Entitlement): string => id ?? feature_key

function toOpenMeter(row: Entitlement, { customer, timeZone, features }: Answered) {
  const { feature_key, kind, created_at } = row
  const since = row.starts_on === null ? null : startOfDay(row.starts_on, timeZone)
  const createdAt = created_at ?? since ?? new Date(0)
  const base = {
    id: idOf(row),
    type: kind,
    featureKey: feature_key,
    featureId: features.find(({ key }) => key === feature_key)?.id ?? feature_key,
    customerId: customer.id,
    customerKey: customer.external_id,
    createdAt,
    updatedAt: createdAt,
    activeFrom: createdAt,
  }
  if (kind === 'boolean') return base
  if (kind === 'static') return { ...base, config: JSON.stringify(row.config) }
  return {
    ...base,
    isSoftLimit: row.behaviour === 'overflow',
    preserveOverageAtReset: row.preserve_overage ?? false,
    issueAfterReset: numberOf(row.limit),
    issueAfterResetPriority: 1,
    issue: { amount: numberOf(row.limit), priority: 1 },
    ...(since && row.reset_at && row.period
      ? {
          lastReset: since,
          measureUsageFrom: since,
          currentUsagePeriod: { from: since, to: row.reset_at },
          usagePeriod: toRecurringPeriod(row.period, since),
        }
      : {}),
  }
}

function toValue({ has_access, kind, config, usage, balance, overage, granted }: Entitlement) {
  if (kind === 'boolean') return { hasAccess: has_access }
  if (kind === 'static') return { hasAccess: has_access, config: JSON.stringify(config) }
  return {
    hasAccess: has_access,
    balance: numberOf(balance),
    usage: numberOf(usage),
    overage: numberOf(overage),
    totalAvailableGrantAmount: numberOf(granted),
  }
}

function toGrant(grant: Grant, entitlementId: string) {
  const { recurrence, effective_at } = grant
  return {
    id: grant.id,
    entitlementId,
    amount: numberOf(grant.amount),
    priority: grant.priority,
    effectiveAt: effective_at,
    minRolloverAmount: numberOf(grant.rollover.min),
    maxRolloverAmount: numberOf(grant.rollover.max),
    metadata: grant.metadata ?? {},
    ...(recurrence ? { recurrence: toRecurringPeriod(recurrence, effective_at) } : {}),
    ...(grant.expires_at ? { expiresAt: grant.expires_at } : {}),
    ...(grant.next_issue_at ? { nextRecurrence: grant.next_issue_at } : {}),
    ...(grant.voided_at ? { voidedAt: grant.voided_at, deletedAt: grant.voided_at } : {}),
    createdAt: grant.created_at,
    updatedAt: grant.voided_at ?? grant.created_at,
  }
}

/** One entitlement of a customer by its id, its feature, or the meter of that feature. */
async function findEntitlement(customerId: string, reference: string): Promise<Entitlement | null> {
  const { entitlements } = await listEntitlements(customerId)
  const feature = await findFeature(reference)
  const names = [reference, feature?.key, feature?.meter?.slug]
  for (const name of names) {
    const found = entitlements.filter((row) => name !== undefined && (row.id === name || row.feature_key === name))
    const row = found.find(({ source }) => source === 'customer') ?? found[0]
    if (row) return row
  }
  return null
}

type Handler = (request: Request, customer: Customer, context: TenantRequestContext) => Promise<Response>

/** A route below a customer, by id or key. */
function ofCustomer(permission: 'customers:read' | 'customers:write', handler: Handler) {
  return openMeterRoute(
    async (request, context) => handler(request, await getCustomer(context.params.customer ?? ''), context),
    { permission },
  )
}

/** A route below one entitlement of a customer. */
function ofEntitlement(
  permission: 'customers:read' | 'customers:write',
  handler: (
    request: Request,
    entitlement: Entitlement,
    customer: Customer,
    context: TenantRequestContext,
  ) => Promise<Response>,
) {
  return ofCustomer(permission, async (request, customer, context) => {
    const entitlement = await findEntitlement(customer.id, context.params.entitlement ?? '')
    if (!entitlement) throw notFound()
    return handler(request, entitlement, customer, context)
  })
}

async function answered(customer: Customer, { tenant }: TenantRequestContext): Promise<Answered> {
  return { customer, timeZone: tenant.time_zone, features: await readFeatures() }
}

async function entitle(customer: Customer, sent: z.infer<typeof entitlementBody>): Promise<Entitlement> {
  const feature = await findFeature(sent.feature)
  if (!feature || feature.archived_at) throw invalid('/featureKey', 'there is no such feature')
  const metered = sent.terms.kind === 'metered'
  if (metered && !feature.meter) throw invalid('/featureKey', 'is of a feature without a meter')
  const input = parseInput(entitlementInput, {
    ...sent.terms,
    feature_key: feature.key,
    ...(metered && feature.meter ? { meter: feature.meter.id } : {}),
  })
  const created = await createEntitlement(customer.id, input)
  for (const grant of sent.grants)
    await createGrant(customer.id, parseInput(grantInput, { ...grant, meter: created.meter?.id }))
  return created
}

const create = ofCustomer('customers:write', async (request, customer, context) => {
  const created = await entitle(customer, await readExact(request, entitlementBody))
  return ApiResponse.created(toOpenMeter(created, await answered(customer, context)))
})

const override = ofEntitlement('customers:write', async (request, present, customer, context) => {
  const sent = await readExact(request, entitlementBody)
  if (present.source === 'customer') await cancelEntitlement(customer.id, present.feature_key)
  return ApiResponse.created(toOpenMeter(await entitle(customer, sent), await answered(customer, context)))
})

const list = ofCustomer('customers:read', async (request, customer, context) => {
  const { entitlements } = await listEntitlements(customer.id)
  const known = await answered(customer, context)
  const rows = entitlements.map((row) => toOpenMeter(row, known))
  return ApiResponse.success(pageOfAll(rows, readPaging(readParameters(request))))
})

const get = ofEntitlement('customers:read', async (_request, row, customer, context) =>
  ApiResponse.success(toOpenMeter(row, await answered(customer, context))),
)

const cancel = ofEntitlement('customers:write', async (_request, { feature_key }, customer) => {
  await cancelEntitlement(customer.id, feature_key)
  return ApiResponse.noContent()
})

const value = ofCustomer('customers:read', async (request, customer, { params }) => {
  if (readParameters(request).has('time')) throw invalid('/time', 'is not possible: the value is the present one')
  const row = await findEntitlement(customer.id, params.entitlement ?? '')
  return ApiResponse.success(row ? toValue(row) : { hasAccess: false })
})

const access = ofCustomer('customers:read', async (_request, customer) => {
  const { entitlements } = await listEntitlements(customer.id)
  return ApiResponse.success({
    entitlements: Object.fromEntries(entitlements.map((row) => [row.feature_key, { type: row.kind, ...toValue(row) }])),
  })
})

const grant = ofEntitlement('customers:write', async (request, row, customer) => {
  if (!row.meter) throw invalid('/entitlement', 'is not metered, so it takes no grants')
  const sent = await readExact(request, grantBody)
  const created = await createGrant(customer.id, parseInput(grantInput, { ...sent, meter: row.meter.id }))
  return ApiResponse.created(toGrant(created, idOf(row)))
})

const listOfGrants = ofEntitlement('customers:read', async (request, row, customer) => {
  const parameters = readParameters(request)
  const state = parameters.get('includeDeleted') === 'true' ? 'all' : 'open'
  const meter = row.meter?.id
  const grants = meter ? await readAll((cursor) => listGrants(customer.id, { cursor, limit: 200, meter, state })) : []
  return ApiResponse.success(
    pageOfAll(
      grants.map((one) => toGrant(one, idOf(row))),
      readPaging(parameters),
    ),
  )
})

const takeBack = openMeterRoute(
  async (_request, { params }) => {
    const id = params.grant ?? ''
    await voidGrant(await findGrantOwner(id), id)
    return ApiResponse.noContent()
  },
  { permission: 'customers:write' },
)

export const ENTITLEMENT_PATHS = [
  ['POST', 'v2/customers/{customer}/entitlements', create],
  ['GET', 'v2/customers/{customer}/entitlements', list],
  ['GET', 'v2/customers/{customer}/entitlements/{entitlement}', get],
  ['DELETE', 'v2/customers/{customer}/entitlements/{entitlement}', cancel],
  ['PUT', 'v2/customers/{customer}/entitlements/{entitlement}/override', override],
  ['GET', 'v2/customers/{customer}/entitlements/{entitlement}/value', value],
  ['GET', 'v2/customers/{customer}/entitlements/{entitlement}/grants', listOfGrants],
  ['POST', 'v2/customers/{customer}/entitlements/{entitlement}/grants', grant],
  ['GET', 'v1/customers/{customer}/entitlements/{entitlement}/value', value],
  ['GET', 'v1/customers/{customer}/access', access],
  ['DELETE', 'v1/grants/{grant}', takeBack],
] as const
