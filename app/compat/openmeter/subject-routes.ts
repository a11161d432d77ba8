import { z } from 'zod'
import { readAll } from '@/app/compat/read-all'
import { customerPatch } from '@/features/customers/schema'
import { type CustomerRow, listCustomers, updateCustomer } from '@/features/customers/services/customer-service'
import { parseInput } from '@/libs/api-utils/read-json'
import { ApiResponse } from '@/libs/api-utils/tenant-api-wrapper'
import { customerNameInput } from '@/libs/api-utils/text-input'
import { notFound } from '@/libs/errors'
import { ensureSubject, getNamedCustomer } from './customer-names'
import { openMeterRoute, readExact } from './openmeter-route'

/** Where what else a subject has is kept within the metadata of its customer. */
const KEPT = 'openmeter_subject'

const upsertBody = z
  .array(
    z.strictObject({
      key: customerNameInput(),
      displayName: z.string().max(200).nullish(),
      metadata: z.record(z.string(), z.unknown()).nullish(),
      stripeCustomerId: z.string().max(255).nullish(),
      currentPeriodStart: z.string().max(40).nullish(),
      currentPeriodEnd: z.string().max(40).nullish(),
    }),
  )
  .min(1)
  .max(100)

/** A subject as the wire has it: a customer by the name it goes by in events. */
function toSubject(row: CustomerRow, key: string) {
  const { [KEPT]: kept, openmeter: _openmeter, ...metadata } = (row.metadata ?? {}) as Record<string, unknown>
  return {
    ...(typeof kept === 'object' ? kept : {}),
    id: row.id,
    key,
    displayName: row.name,
    metadata,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

const READ = { permission: 'customers:read' } as const
const WRITE = { permission: 'customers:write' } as const

const upsert = openMeterRoute(async (request) => {
  const rows = []
  for (const { key, displayName, metadata, ...more } of await readExact(request, upsertBody)) {
    const row = await ensureSubject(key)
    const present = (row.metadata ?? {}) as Record<string, unknown>
    const kept = Object.fromEntries(Object.entries(more).filter(([, value]) => value !== undefined && value !== null))
    const { [KEPT]: before, openmeter, ...own } = present
    const patch = {
      ...(displayName === undefined ? {} : { name: displayName }),
      metadata: {
        ...(metadata === undefined ? own : metadata),
        ...(openmeter === undefined ? {} : { openmeter }),
        ...(Object.keys(kept).length > 0 ? { [KEPT]: kept } : before === undefined ? {} : { [KEPT]: before }),
      },
      ...(row.archived_at ? { archived: false } : {}),
    }
    rows.push(toSubject(await updateCustomer(row.id, parseInput(customerPatch, patch)), key))
  }
  return ApiResponse.success(rows)
}, WRITE)

/** A subject that was not deleted. @throws AppError not_found. */
async function getSubject(reference: string): Promise<CustomerRow> {
  const row = await getNamedCustomer(reference)
  if (row.archived_at) throw notFound()
  return row
}

const get = openMeterRoute(async (_request, { params }) => {
  const reference = params.subject ?? ''
  const row = await getSubject(reference)
  return ApiResponse.success(toSubject(row, reference === row.id ? row.external_id : reference))
}, READ)

const list = openMeterRoute(async () => {
  const rows = await readAll((cursor) => listCustomers({ cursor, limit: 200, archived: 'false' }))
  return ApiResponse.success(rows.map((row) => toSubject(row, row.external_id)))
}, READ)

const remove = openMeterRoute(async (_request, { params }) => {
  const { id } = await getSubject(params.subject ?? '')
  await updateCustomer(id, { archived: true })
  return ApiResponse.noContent()
}, WRITE)

export const SUBJECT_PATHS = [
  ['POST', 'v1/subjects', upsert],
  ['GET', 'v1/subjects', list],
  ['GET', 'v1/subjects/{subject}', get],
  ['DELETE', 'v1/subjects/{subject}', remove],
] as const
