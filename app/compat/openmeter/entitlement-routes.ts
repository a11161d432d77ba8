import type { z } from 'zod'
import { keepRecord } from '@/features/compatibility/services/compat-record-service'
import type { CustomerRow } from '@/features/customers/services/customer-service'
import { entitlementInput, grantInput } from '@/features/entitlements/schema'
import type { Entitlement } from '@/features/entitlements/services/entitlement-service'
import { cancelEntitlement, createEntitlement } from '@/features/entitlements/services/entitlement-write-service'
import { createGrant, listGrants } from '@/features/entitlements/services/grant-service'
import { findFeature } from '@/features/features/services/feature-service'
import { parseInput } from '@/libs/api-utils/read-json'
import { ApiResponse, type TenantRequestContext } from '@/libs/api-utils/tenant-api-wrapper'
import { invalidInput } from '@/libs/errors'
import { inBothVersions, ofCustomer, ofEntitlement } from './entitlement-access'
import { resetUsage } from './entitlement-reset'
import { entitlementBody } from './entitlement-schema'
import {
  idOf,
  numberOf,
  periodStart,
  pickEntitlement,
  readKnown,
  type Sent,
  toOpenMeterEntitlement,
  toOpenMeterValue,
  type Version,
} from './entitlement-shape'
import { exactSum } from './exact-sum'
import { keepGrant } from './grant-shape'
import { inOrder, inTerms, pageOfAll, readExact, readPaging, readParameters } from './openmeter-route'

const READ = 'customers:read'
const WRITE = 'customers:write'
/** A moment that is told may be a little off the present one. */
const NOW_MS = 120_000

type Body = z.infer<typeof entitlementBody>

async function entitle(customer: CustomerRow, sent: Body, context: TenantRequestContext): Promise<Entitlement> {
  const feature = await findFeature(sent.feature)
  if (!feature || feature.archived_at) throw invalidInput('/featureKey', 'there is no such feature')
  const metered = sent.terms.kind === 'metered'
  if (metered && !feature.meter) throw invalidInput('/featureKey', 'is of a feature without a meter')
  const input = inTerms(() =>
    parseInput(entitlementInput, {
      ...sent.terms,
      feature_key: feature.key,
      ...(metered && feature.meter ? { meter: feature.meter.id } : {}),
    }),
  )
  const created = await createEntitlement(customer.id, input)
  for (const { given, kept } of sent.grants)
    await keepGrant(
      await createGrant(customer.id, parseInput(grantInput, { ...given, meter: created.meter?.id })),
      kept,
    )
  const kept: Sent = {
    ...(sent.metadata ? { metadata: sent.metadata } : {}),
    ...(metered ? { issues: sent.issues, measureUsageFrom: await measure(customer, created, sent, context) } : {}),
  }
  if (Object.keys(kept).length > 0) await keepRecord('entitlement', idOf(created), kept)
  return created
}

/** From when on usage counts against a new entitlement: what was used of the period before is forgotten. */
async function measure(
  customer: CustomerRow,
  created: Entitlement,
  { measureFrom }: Body,
  { tenant }: TenantRequestContext,
): Promise<string> {
  const since = periodStart(created, tenant.time_zone) ?? new Date()
  if (measureFrom === 'CURRENT_PERIOD_START') return since.toISOString()
  const from = measureFrom === 'NOW' ? new Date() : new Date(measureFrom)
  if (from.getTime() > Date.now() + NOW_MS) throw invalidInput('/measureUsageFrom', 'must not lie in the future')
  if (numberOf(created.usage) !== 0 && created.meter && from > since)
    await resetUsage(customer.id, created.meter, { since: from, preserveOverage: false })
  return (from > since ? from : since).toISOString()
}

const create = (version: Version) =>
  ofCustomer(
    WRITE,
    async (request, customer, context) => {
      const created = await entitle(customer, await readExact(request, entitlementBody), context)
      return ApiResponse.created(await shown(customer, created, context, version))
    },
    true,
  )

async function shown(customer: CustomerRow, created: Entitlement, context: TenantRequestContext, version: Version) {
  const known = await readKnown(customer, context)
  const row = known.entitlements.find(({ id }) => id === created.id) ?? created
  return toOpenMeterEntitlement(row, known, version)
}

const override = (version: Version) =>
  ofEntitlement(WRITE, version, async (request, { entitlement, known: { customer } }, context) => {
    const sent = await readExact(request, entitlementBody)
    if (entitlement.source === 'customer') await cancelEntitlement(customer.id, entitlement.feature_key)
    const created = await entitle(customer, sent, context)
    return ApiResponse.created(await shown(customer, created, context, version))
  })

const ORDERS = { createdAt: 'createdAt', updatedAt: 'updatedAt' } as const

const list = (version: Version) =>
  ofCustomer(READ, async (request, customer, context) => {
    const known = await readKnown(customer, context)
    const parameters = readParameters(request)
    const shown = known.entitlements.map((row) => toOpenMeterEntitlement(row, known, version))
    const rows = inOrder(shown, parameters, ORDERS)
    return ApiResponse.success(version === 1 ? rows : pageOfAll(rows, readPaging(parameters)))
  })

const get = (version: Version) =>
  ofEntitlement(READ, version, async (_request, { entitlement, known }) =>
    ApiResponse.success(toOpenMeterEntitlement(entitlement, known, version)),
  )

const cancel = (version: Version) =>
  ofEntitlement(WRITE, version, async (_request, { entitlement, known: { customer } }) => {
    await cancelEntitlement(customer.id, entitlement.feature_key)
    return ApiResponse.noContent()
  })

/** @throws AppError invalid_input for any other moment than the present. */
function requireNow(request: Request): void {
  const time = readParameters(request).get('time')
  if (time === null) return
  const at = Date.parse(time)
  if (Number.isNaN(at)) throw invalidInput('/time', 'must be RFC 3339 with a zone')
  if (Math.abs(at - Date.now()) > NOW_MS) throw invalidInput('/time', 'is not possible: the value is the present one')
}

const value = (version: Version) =>
  ofCustomer(READ, async (request, customer, context) => {
    requireNow(request)
    const known = await readKnown(customer, context)
    const row = await pickEntitlement(known.entitlements, context.params.entitlement ?? '')
    if (!row) return ApiResponse.success({ hasAccess: false })
    const shownValue = toOpenMeterValue(row)
    if (version === 1 || !row.meter) return ApiResponse.success(shownValue)
    return ApiResponse.success({ ...shownValue, grantBalances: await balancesOf(customer.id, row) })
  })

/** What is left of each grant, and of the allowance under the id of the entitlement. */
async function balancesOf(customerId: string, row: Entitlement): Promise<Record<string, number>> {
  const { data } = await listGrants(customerId, { meter: row.meter?.id, state: 'open', limit: 200 })
  const grants = data
    .filter(({ state }) => state !== 'scheduled')
    .map(({ id, remaining }) => [id, Number(remaining)] as const)
  const left = exactSum(numberOf(row.balance), ...grants.map(([, remaining]) => -remaining))
  return Object.fromEntries([...grants, ...(numberOf(row.limit) > 0 ? [[idOf(row), Math.max(0, left)] as const] : [])])
}

const access = ofCustomer(READ, async (_request, customer, context) => {
  const { entitlements } = await readKnown(customer, context)
  return ApiResponse.success({
    entitlements: Object.fromEntries(
      entitlements.map((row) => [row.feature_key, { type: row.kind, ...toOpenMeterValue(row) }]),
    ),
  })
})

export const ENTITLEMENT_PATHS = [
  ...inBothVersions('POST', '', create),
  ...inBothVersions('GET', '', list),
  ...inBothVersions('GET', '/{entitlement}', get),
  ...inBothVersions('DELETE', '/{entitlement}', cancel),
  ...inBothVersions('PUT', '/{entitlement}/override', override),
  ...inBothVersions('GET', '/{entitlement}/value', value),
  ['GET', 'v1/customers/{customer}/entitlements/{entitlement}/value', value(1)],
  ['GET', 'v1/customers/{customer}/access', access],
] as const
