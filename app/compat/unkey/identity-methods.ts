import { z } from 'zod'
import { joinMetadata, readMetadata } from '@/app/compat/customer-metadata'
import { customerInput, customerPatch } from '@/features/customers/schema'
import {
  type CustomerRow,
  createCustomer,
  getCustomer,
  listCustomers,
  updateCustomer,
} from '@/features/customers/services/customer-service'
import { parseInput, readJson } from '@/libs/api-utils/read-json'
import type { RouteHandler } from '@/libs/api-utils/route-handler'
import { customerNameInput } from '@/libs/api-utils/text-input'
import { notFound, orNull } from '@/libs/errors'
import { toPagination, unkeyRoute } from './unkey-route'

const externalId = customerNameInput()
const meta = z.record(z.string(), z.unknown()).optional()
const noLimits = z
  .array(z.unknown())
  .max(0, 'is not possible: limits are those of a key, or are said with the call')
  .optional()
const createBody = z.strictObject({ external_id: externalId, meta, ratelimits: noLimits })
const identityBody = z.strictObject({ identity: externalId })
const updateBody = z.strictObject({ identity: externalId, meta, ratelimits: noLimits })
const listBody = z.strictObject({
  limit: z.number().int().min(1).max(100).default(100),
  cursor: z.string().max(1_000).optional(),
  search: z.string().max(200).optional(),
})

/** An identity as the wire has it: a customer of ours. */
function toIdentity({ id, external_id, metadata }: CustomerRow) {
  return { id, externalId: external_id, meta: readMetadata(metadata).own }
}

/** A customer that was not archived. @throws AppError not_found. */
async function getIdentity(reference: string): Promise<CustomerRow> {
  const row = await getCustomer(reference)
  if (row.archived_at) throw notFound()
  return row
}

const WRITE = { permission: 'customers:write' } as const
const READ = { permission: 'customers:read' } as const

export const IDENTITY_METHODS: readonly (readonly [string, RouteHandler])[] = [
  [
    'identities.createIdentity',
    unkeyRoute(async (request) => {
      const { external_id, meta } = await readJson(request, createBody)
      const present = await orNull(getCustomer(external_id))
      // One that was deleted is made anew by bringing it back.
      const row =
        present?.archived_at && present.external_id === external_id
          ? await updateCustomer(present.id, parseInput(customerPatch, { archived: false, metadata: meta ?? {} }))
          : await createCustomer(parseInput(customerInput, { external_id, metadata: meta ?? {} }))
      return { data: { identityId: row.id } }
    }, WRITE),
  ],
  [
    'identities.getIdentity',
    unkeyRoute(
      async (request) => ({ data: toIdentity(await getIdentity((await readJson(request, identityBody)).identity)) }),
      READ,
    ),
  ],
  [
    'identities.listIdentities',
    unkeyRoute(async (request) => {
      const { search, ...query } = await readJson(request, listBody)
      const { data, next_cursor } = await listCustomers({ ...query, q: search, archived: 'false' })
      return { data: data.map(toIdentity), pagination: toPagination(next_cursor) }
    }, READ),
  ],
  [
    'identities.updateIdentity',
    unkeyRoute(async (request) => {
      const { identity, meta } = await readJson(request, updateBody)
      const { id, metadata } = await getIdentity(identity)
      const patch = meta === undefined ? {} : { metadata: joinMetadata(meta, readMetadata(metadata).kept) }
      const row = await updateCustomer(id, parseInput(customerPatch, patch))
      return { data: toIdentity(row) }
    }, WRITE),
  ],
  [
    'identities.deleteIdentity',
    unkeyRoute(async (request) => {
      const { id } = await getIdentity((await readJson(request, identityBody)).identity)
      await updateCustomer(id, { archived: true })
      return { data: {} }
    }, WRITE),
  ],
]
