import { z } from 'zod'
import { joinMetadata, readMetadata } from '@/app/compat/customer-metadata'
import { readSubjects } from '@/features/compatibility/services/customer-subject-service'
import { customerPatch } from '@/features/customers/schema'
import { type CustomerRow, listCustomers, updateCustomer } from '@/features/customers/services/customer-service'
import { parseInput } from '@/libs/api-utils/read-json'
import { ApiResponse } from '@/libs/api-utils/tenant-api-wrapper'
import { customerNameInput } from '@/libs/api-utils/text-input'
import { AppError, invalidInput, notFound } from '@/libs/errors'
import { keyOf, subjectsOf } from './customer-body'
import { ensureSubject, getNamedCustomer, giveNames } from './customer-names'
import { openMeterRoute, readExact } from './openmeter-route'

/** Subjects of one answer at most, and customers that are read at once for it. */
const MOST = 100_000
const AT_ONCE = 1_000

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
  const { own, kept } = readMetadata(row.metadata)
  return {
    ...kept.openmeter_subject,
    id: row.id,
    key,
    displayName: row.name,
    metadata: own,
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
    const { own, kept } = readMetadata(row.metadata)
    // What is not said stays, null takes it away.
    const said = Object.entries({ ...kept.openmeter_subject, ...more })
    const subject = Object.fromEntries(said.filter(([, value]) => value !== undefined && value !== null))
    const patch = {
      ...(displayName === undefined ? {} : { name: displayName }),
      metadata: joinMetadata(metadata === undefined ? own : { ...metadata }, { ...kept, openmeter_subject: subject }),
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
  const subjects = []
  let cursor: string | undefined
  do {
    const { data, next_cursor } = await listCustomers({ cursor, limit: AT_ONCE, archived: 'false' })
    const given = await readSubjects(data.map(({ id }) => id))
    for (const row of data)
      subjects.push(...subjectsOf(row, given.get(row.id)).map((subject) => toSubject(row, subject)))
    if (subjects.length > MOST)
      throw new AppError('bad_request', `There are more than ${MOST} subjects: list the customers, page by page.`)
    cursor = next_cursor ?? undefined
  } while (cursor !== undefined)
  return ApiResponse.success(subjects)
}, READ)

/** Takes a customer one of its names away, or archives it with the last. */
const remove = openMeterRoute(async (_request, { params }) => {
  const reference = (params.subject ?? '').trim()
  const row = await getSubject(reference)
  const given = (await readSubjects([row.id])).get(row.id) ?? []
  const others = given.filter((subject) => subject !== reference)
  if (others.length === 0 || others.length === given.length) await updateCustomer(row.id, { archived: true })
  else {
    const key = keyOf(row) ?? null
    if (reference === row.external_id && reference !== key)
      throw invalidInput('/subject', `is ${reference}, under which the usage of its customer is counted`)
    await giveNames(row, key, others)
  }
  return ApiResponse.noContent()
}, WRITE)

export const SUBJECT_PATHS = [
  ['POST', 'v1/subjects', upsert],
  ['GET', 'v1/subjects', list],
  ['GET', 'v1/subjects/{subject}', get],
  ['DELETE', 'v1/subjects/{subject}', remove],
] as const
