import { getCustomer } from '@/features/customers/services/customer-service'
import { findEntitlementOwner, listEntitlementPage } from '@/features/entitlements/services/entitlement-page-service'
import { ApiResponse } from '@/libs/api-utils/tenant-api-wrapper'
import { invalidInput, notFound } from '@/libs/errors'
import { readHolders, readKnown, toOpenMeterEntitlement, type Version } from './entitlement-shape'
import { customersAsked } from './grant-routes'
import { openMeterRoute, readOrder, readPaging, readParameters, rowsFrom } from './openmeter-route'

const READ = { permission: 'customers:read' } as const
const ORDERS = { createdAt: 'created_at', updatedAt: 'created_at' } as const
const KINDS: readonly string[] = ['metered', 'static', 'boolean']

/** Entitlements that customers have as their own; what they have by a tier is listed with the customer. */
const listAll = (version: Version) =>
  openMeterRoute(async (request, context) => {
    const parameters = readParameters(request)
    const paging = readPaging(parameters)
    const { page, pageSize } = paging
    const features = parameters.getAll('feature')
    const kinds = parameters.getAll('entitlementType')
    if (kinds.some((kind) => !KINDS.includes(kind)))
      throw invalidInput('/entitlementType', `must be one of ${KINDS.join(', ')}`)
    const query = {
      page_size: pageSize,
      customers: await customersAsked(parameters, ['subject', 'customerKeys', 'customerIds']),
      features: features.length > 0 ? features : null,
      kinds: kinds.length > 0 ? kinds : null,
      descending: readOrder(parameters, ORDERS, 'created_at').descending,
    }
    const { total, data } = await rowsFrom(paging, (page) => listEntitlementPage({ ...query, page }))
    const holderOf = await readHolders(
      data.map(({ customer }) => customer),
      data.map(({ id }) => id),
      context,
    )
    const items = data.map((row) => toOpenMeterEntitlement(row, holderOf(row.customer), version))
    const isPlain = version === 1 && !parameters.has('page')
    return ApiResponse.success(isPlain ? items : { totalCount: total, page, pageSize, items })
  }, READ)

const getById = (version: Version) =>
  openMeterRoute(async (_request, context) => {
    const owner = await findEntitlementOwner(context.params.entitlement ?? '')
    if (!owner) throw notFound()
    const known = await readKnown(await getCustomer(owner), context)
    const row = known.entitlements.find(({ id }) => id === context.params.entitlement?.toLowerCase())
    if (!row) throw notFound()
    return ApiResponse.success(toOpenMeterEntitlement(row, known, version))
  }, READ)

export const ENTITLEMENT_LIST_PATHS = [
  ['GET', 'v1/entitlements', listAll(1)],
  ['GET', 'v1/entitlements/{entitlement}', getById(1)],
  ['GET', 'v2/entitlements', listAll(2)],
  ['GET', 'v2/entitlements/{entitlement}', getById(2)],
] as const
