import { getCustomer } from '@/features/customers/services/customer-service'
import { findEntitlementOwner, listEntitlementPage } from '@/features/entitlements/services/entitlement-page-service'
import { ApiResponse } from '@/libs/api-utils/tenant-api-wrapper'
import { invalidInput, notFound } from '@/libs/errors'
import { type Known, readKnown, toOpenMeterEntitlement, type Version } from './entitlement-shape'
import { customersAsked } from './grant-routes'
import { openMeterRoute, readOrder, readPaging, readParameters } from './openmeter-route'

const READ = { permission: 'customers:read' } as const
const ORDERS = { createdAt: 'created_at', updatedAt: 'created_at' } as const
const KINDS: readonly string[] = ['metered', 'static', 'boolean']

/** Entitlements that customers have as their own; what they have by a tier is listed with the customer. */
const listAll = (version: Version) =>
  openMeterRoute(async (request, context) => {
    const parameters = readParameters(request)
    const { page, pageSize } = readPaging(parameters)
    const features = parameters.getAll('feature')
    const kinds = parameters.getAll('entitlementType')
    if (kinds.some((kind) => !KINDS.includes(kind)))
      throw invalidInput('/entitlementType', `must be one of ${KINDS.join(', ')}`)
    const names = ['subject', 'customerKeys', 'customerIds'].flatMap((name) => parameters.getAll(name))
    const { total, data } = await listEntitlementPage({
      page,
      page_size: pageSize,
      customers: await customersAsked(names),
      features: features.length > 0 ? features : null,
      kinds: kinds.length > 0 ? kinds : null,
      descending: readOrder(parameters, ORDERS, 'created_at').descending,
    })
    const known = new Map<string, Known>()
    for (const { customer_id } of data)
      if (!known.has(customer_id)) known.set(customer_id, await readKnown(await getCustomer(customer_id), context))
    const items = data.flatMap(({ id, customer_id }) => {
      const whole = known.get(customer_id)
      const row = whole?.entitlements.find((one) => one.id === id)
      return whole && row ? [toOpenMeterEntitlement(row, whole, version)] : []
    })
    const isPlain = version === 1 && !parameters.has('page')
    return ApiResponse.success(isPlain ? items : { totalCount: total, page, pageSize, items })
  }, READ)

const getById = (version: Version) =>
  openMeterRoute(async (_request, context) => {
    const owner = await findEntitlementOwner(context.params.entitlement ?? '')
    if (!owner) throw notFound()
    const known = await readKnown(await getCustomer(owner.customer_id), context)
    const row = known.entitlements.find(({ id }) => id === owner.id)
    if (!row) throw notFound()
    return ApiResponse.success(toOpenMeterEntitlement(row, known, version))
  }, READ)

export const ENTITLEMENT_LIST_PATHS = [
  ['GET', 'v1/entitlements', listAll(1)],
  ['GET', 'v1/entitlements/{entitlement}', getById(1)],
  ['GET', 'v2/entitlements', listAll(2)],
  ['GET', 'v2/entitlements/{entitlement}', getById(2)],
] as const
