import { z } from 'zod'
import { customerInput, customerPatch } from '@/features/customers/schema'
import { listCustomerPage } from '@/features/customers/services/customer-page-service'
import {
  type CustomerRow,
  createCustomer,
  getCustomer,
  updateCustomer,
} from '@/features/customers/services/customer-service'
import { parseInput } from '@/libs/api-utils/read-json'
import { ApiResponse } from '@/libs/api-utils/tenant-api-wrapper'
import { invalid, openMeterRoute, readExact, readPaging, readParameters } from './openmeter-route'

/** Where what we have no field for is kept within the metadata of a customer. */
const KEPT = 'openmeter'

const body = z.strictObject({
  key: z.string().min(1).max(255).optional(),
  name: z.string(),
  description: z.string().max(1_024).optional(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  usageAttribution: z.strictObject({ subjectKeys: z.array(z.string()) }).optional(),
  primaryEmail: z.string().optional(),
  currency: z.string().max(3).optional(),
  billingAddress: z.record(z.string(), z.unknown()).optional(),
})
type Body = z.infer<typeof body>

/** A customer as the wire has it: it is its one subject, by the key. */
function toOpenMeter(row: CustomerRow) {
  const { [KEPT]: kept, ...metadata } = (row.metadata ?? {}) as Record<string, unknown>
  return {
    ...(typeof kept === 'object' ? kept : {}),
    id: row.id,
    key: row.external_id,
    name: row.name ?? row.external_id,
    usageAttribution: { subjectKeys: [row.external_id] },
    ...(row.email === null ? {} : { primaryEmail: row.email }),
    metadata,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    ...(row.archived_at ? { deletedAt: row.archived_at } : {}),
  }
}

function keyOf({ key, usageAttribution }: Body): string {
  const subjects = usageAttribution?.subjectKeys ?? []
  const wanted = key ?? subjects[0]
  if (wanted === undefined) throw invalid('/key', 'is needed, or one of usageAttribution.subjectKeys')
  if (subjects.some((subject) => subject !== wanted))
    throw invalid('/usageAttribution/subjectKeys', 'must be the key alone: a customer is one subject here')
  return wanted
}

function fieldsOf({ name, description, metadata, primaryEmail, currency, billingAddress }: Body) {
  const kept = Object.entries({ description, currency, billingAddress }).filter(([, value]) => value !== undefined)
  return {
    name,
    email: primaryEmail ?? null,
    metadata: { ...metadata, ...(kept.length > 0 ? { [KEPT]: Object.fromEntries(kept) } : {}) },
  }
}

const READ = { permission: 'customers:read' } as const
const WRITE = { permission: 'customers:write' } as const

const create = openMeterRoute(async (request) => {
  const sent = await readExact(request, body)
  const input = parseInput(customerInput, { external_id: keyOf(sent), ...fieldsOf(sent) })
  return ApiResponse.created(toOpenMeter(await createCustomer(input)))
}, WRITE)

const list = openMeterRoute(async (request) => {
  const parameters = readParameters(request)
  const { page, pageSize } = readPaging(parameters)
  const { total, data } = await listCustomerPage({
    page,
    page_size: pageSize,
    external_id: parameters.get('key') ?? parameters.get('subject') ?? undefined,
    name: parameters.get('name') ?? undefined,
    email: parameters.get('primaryEmail') ?? undefined,
    archived: parameters.get('includeDeleted') === 'true',
  })
  return ApiResponse.success({ totalCount: total, page, pageSize, items: data.map(toOpenMeter) })
}, READ)

const get = openMeterRoute(
  async (_request, { params }) => ApiResponse.success(toOpenMeter(await getCustomer(params.customer ?? ''))),
  READ,
)

const update = openMeterRoute(async (request, { params }) => {
  const sent = await readExact(request, body)
  const present = await getCustomer(params.customer ?? '')
  if ((sent.key !== undefined || sent.usageAttribution !== undefined) && keyOf(sent) !== present.external_id)
    throw invalid('/key', 'never changes')
  return ApiResponse.success(toOpenMeter(await updateCustomer(present.id, parseInput(customerPatch, fieldsOf(sent)))))
}, WRITE)

const archive = openMeterRoute(async (_request, { params }) => {
  await updateCustomer(params.customer ?? '', { archived: true })
  return ApiResponse.noContent()
}, WRITE)

export const CUSTOMER_PATHS = [
  ['POST', 'v1/customers', create],
  ['GET', 'v1/customers', list],
  ['GET', 'v1/customers/{customer}', get],
  ['PUT', 'v1/customers/{customer}', update],
  ['DELETE', 'v1/customers/{customer}', archive],
] as const
