import { readMetadata } from '@/app/compat/customer-metadata'
import {
  findNameOwners,
  readSubjects,
  setSubjects,
  subjectTaken,
} from '@/features/compatibility/services/customer-subject-service'
import { customerInput, customerPatch } from '@/features/customers/schema'
import { listCustomerPage } from '@/features/customers/services/customer-page-service'
import { type CustomerRow, createCustomer, updateCustomer } from '@/features/customers/services/customer-service'
import { parseInput } from '@/libs/api-utils/read-json'
import { ApiResponse } from '@/libs/api-utils/tenant-api-wrapper'
import { invalidInput } from '@/libs/errors'
import {
  type CustomerBody,
  customerBody,
  fieldsOf,
  keyOf,
  namesOf,
  subjectsOf,
  toOpenMeterCustomer,
} from './customer-body'
import { getNamedCustomer, giveNames } from './customer-names'
import { openMeterRoute, readExact, readOrder, readPaging, readParameters } from './openmeter-route'

async function shown(rows: readonly CustomerRow[]) {
  const subjects = await readSubjects(rows.map(({ id }) => id))
  return rows.map((row) => toOpenMeterCustomer(row, subjects.get(row.id)))
}

/**
 * Makes a customer, or takes the one over that its own events, or an earlier life, left under one of the names.
 * @throws AppError conflict for a name that is somebody else's.
 */
async function claim(sent: CustomerBody): Promise<CustomerRow> {
  const { subjects, first, all } = namesOf(sent)
  const owners = await findNameOwners(all)
  const firm = owners.find(({ by, is_bare, archived_at }) => by === 'subject' || !(is_bare || archived_at))
  if (firm) throw subjectTaken(firm.name)
  const [present, ...others] = owners
  if (present && others.length > 0)
    throw invalidInput(
      '/usageAttribution/subjectKeys',
      `${owners.map(({ name }) => name).join(' and ')} have usage of their own already, which cannot be put together`,
    )
  const fields = fieldsOf(sent, sent.key ?? null)
  const row = present
    ? await updateCustomer(present.customer_id, parseInput(customerPatch, { ...fields, archived: false }))
    : await createCustomer(parseInput(customerInput, { external_id: first, ...fields }))
  await giveNames(row, sent.key ?? null, subjects)
  return row
}

const READ = { permission: 'customers:read' } as const
const WRITE = { permission: 'customers:write' } as const

const create = openMeterRoute(async (request) => {
  const rows = await shown([await claim(await readExact(request, customerBody))])
  return ApiResponse.created(rows[0])
}, WRITE)

const ORDERS = { id: 'id', name: 'name', createdAt: 'created_at' } as const

const list = openMeterRoute(async (request) => {
  const parameters = readParameters(request)
  const { page, pageSize } = readPaging(parameters)
  const { by, descending } = readOrder(parameters, ORDERS, 'created_at')
  const { total, data } = await listCustomerPage({
    page,
    page_size: pageSize,
    external_id: parameters.get('key') ?? undefined,
    subject: parameters.get('subject') ?? undefined,
    name: parameters.get('name') ?? undefined,
    email: parameters.get('primaryEmail') ?? undefined,
    archived: parameters.get('includeDeleted') === 'true',
    order_by: by,
    descending,
  })
  return ApiResponse.success({ totalCount: total, page, pageSize, items: await shown(data) })
}, READ)

const get = openMeterRoute(async (_request, { params }) => {
  const rows = await shown([await getNamedCustomer(params.customer ?? '')])
  return ApiResponse.success(rows[0])
}, READ)

const update = openMeterRoute(async (request, { params }) => {
  const sent = await readExact(request, customerBody)
  const present = await getNamedCustomer(params.customer ?? '')
  const key = keyOf(present)
  if (sent.key !== undefined && key !== undefined && sent.key !== key) throw invalidInput('/key', 'never changes')
  const kept = sent.key ?? key ?? null
  const asked = sent.usageAttribution?.subjectKeys
  if (asked && kept !== present.external_id && !asked.includes(present.external_id))
    throw invalidInput(
      '/usageAttribution/subjectKeys',
      `must keep ${present.external_id}, under which its usage is counted`,
    )
  const subjectKeys = asked ?? [...subjectsOf(present, (await readSubjects([present.id])).get(present.id))]
  const others = readMetadata(present.metadata).kept
  const fields = fieldsOf({ ...sent, usageAttribution: { subjectKeys } }, kept, others)
  const row = await updateCustomer(present.id, parseInput(customerPatch, fields))
  await giveNames(row, kept, subjectKeys)
  return ApiResponse.success((await shown([row]))[0])
}, WRITE)

const archive = openMeterRoute(async (_request, { params }) => {
  const { id } = await getNamedCustomer(params.customer ?? '')
  await updateCustomer(id, { archived: true })
  // Its names are free for others.
  await setSubjects(id, { subjects: [], names: [] })
  return ApiResponse.noContent()
}, WRITE)

export const CUSTOMER_PATHS = [
  ['POST', 'v1/customers', create],
  ['GET', 'v1/customers', list],
  ['GET', 'v1/customers/{customer}', get],
  ['PUT', 'v1/customers/{customer}', update],
  ['DELETE', 'v1/customers/{customer}', archive],
] as const
