import { readAll } from '@/app/compat/read-all'
import { grantInput } from '@/features/entitlements/schema'
import { findGrantOwner } from '@/features/entitlements/services/grant-owner-service'
import { listGrantPage } from '@/features/entitlements/services/grant-page-service'
import { createGrant, listGrants, voidGrant } from '@/features/entitlements/services/grant-service'
import { parseInput } from '@/libs/api-utils/read-json'
import { ApiResponse } from '@/libs/api-utils/tenant-api-wrapper'
import { invalidInput } from '@/libs/errors'
import { findNamedIds } from './customer-names'
import { inBothVersions, ofEntitlement } from './entitlement-access'
import { GRANT_BODIES } from './entitlement-schema'
import { idOf, type Version } from './entitlement-shape'
import { keepGrant, readSentGrants, toOpenMeterGrant } from './grant-shape'
import {
  inOrder,
  openMeterRoute,
  pageOfAll,
  readExact,
  readOrder,
  readPaging,
  readParameters,
  rowsFrom,
} from './openmeter-route'

const create = (version: Version) =>
  ofEntitlement('customers:write', version, async (request, { entitlement, known: { customer } }) => {
    if (!entitlement.meter) throw invalidInput('/entitlement', 'is not metered, so it takes no grants')
    const { given, kept } = await readExact(request, GRANT_BODIES[version])
    const created = await createGrant(customer.id, parseInput(grantInput, { ...given, meter: entitlement.meter.id }))
    await keepGrant(created, kept)
    return ApiResponse.created(toOpenMeterGrant(created, idOf(entitlement), kept))
  })

const ORDERS_OF_ONE = { id: 'id', createdAt: 'createdAt', updatedAt: 'updatedAt' } as const

const list = (version: Version) =>
  ofEntitlement('customers:read', version, async (request, { entitlement, known: { customer } }) => {
    const parameters = readParameters(request)
    const state = parameters.get('includeDeleted') === 'true' ? 'all' : 'open'
    const meter = entitlement.meter?.id
    const grants = meter ? await readAll((cursor) => listGrants(customer.id, { cursor, limit: 200, meter, state })) : []
    const sent = await readSentGrants(grants)
    const shown = grants.map((one) => toOpenMeterGrant(one, idOf(entitlement), sent.get(one.id)))
    const rows = inOrder(shown, parameters, ORDERS_OF_ONE)
    return ApiResponse.success(version === 1 ? rows : pageOfAll(rows, readPaging(parameters)))
  })

/** Ids of the customers that parameters of these names ask for; null for all. */
export async function customersAsked(parameters: URLSearchParams, names: readonly string[]): Promise<string[] | null> {
  const references = names.flatMap((name) => parameters.getAll(name))
  return references.length === 0 ? null : findNamedIds(references)
}

const ORDERS = { id: 'id', createdAt: 'created_at', updatedAt: 'created_at' } as const

const listAll = (version: Version) =>
  openMeterRoute(
    async (request) => {
      const parameters = readParameters(request)
      const paging = readPaging(parameters)
      const { page, pageSize } = paging
      const features = parameters.getAll('feature')
      const query = {
        page_size: pageSize,
        customers: await customersAsked(parameters, ['subject', 'customer']),
        features: features.length > 0 ? features : null,
        closed: parameters.get('includeDeleted') === 'true',
        descending: readOrder(parameters, ORDERS, 'created_at').descending,
      }
      const { total, data } = await rowsFrom(paging, (page) => listGrantPage({ ...query, page }))
      const sent = await readSentGrants(data)
      const items = data.map((row) => toOpenMeterGrant(row, row.entitlement_id ?? row.feature_key, sent.get(row.id)))
      const isPlain = version === 1 && !parameters.has('page')
      return ApiResponse.success(isPlain ? items : { totalCount: total, page, pageSize, items })
    },
    { permission: 'customers:read' },
  )

const takeBack = openMeterRoute(
  async (_request, { params }) => {
    const id = params.grant ?? ''
    await voidGrant(await findGrantOwner(id), id)
    return ApiResponse.noContent()
  },
  { permission: 'customers:write' },
)

export const GRANT_PATHS = [
  ...inBothVersions('GET', '/{entitlement}/grants', list),
  ...inBothVersions('POST', '/{entitlement}/grants', create),
  ['GET', 'v1/grants', listAll(1)],
  ['GET', 'v2/grants', listAll(2)],
  ['DELETE', 'v1/grants/{grant}', takeBack],
] as const
