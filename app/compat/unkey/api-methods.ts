import { z } from 'zod'
import { findRecord, keepRecord } from '@/features/compatibility/services/compat-record-service'
import { listCustomerKeys, revokeKeysOfApi } from '@/features/customer-keys/services/customer-key-service'
import { readJson } from '@/libs/api-utils/read-json'
import type { RouteHandler } from '@/libs/api-utils/route-handler'
import { customerNameInput } from '@/libs/api-utils/text-input'
import { notFound } from '@/libs/errors'
import { newId } from '@/libs/ids'
import { toUnkeyKey } from './key-shape'
import { toPagination, unkeyRoute } from './unkey-route'

const apiId = z.string().min(1).max(255)
const apiBody = z.strictObject({ api_id: apiId })
const listBody = z.strictObject({
  api_id: apiId,
  limit: z.number().int().min(1).max(100).default(100),
  cursor: z.string().max(1_000).optional(),
  external_id: customerNameInput().optional(),
  // A key is never shown again, and what is shown is never old.
  decrypt: z.boolean().optional(),
  revalidate_keys_cache: z.boolean().optional(),
})

/**
 * The name of an API, which is its id where it was never made but has keys.
 * @throws AppError not_found for one that was deleted, or that nobody ever named.
 */
async function nameOf(id: string): Promise<string> {
  const record = await findRecord('api', id)
  if (record?.data.deleted === true) throw notFound()
  if (typeof record?.data.name === 'string') return record.data.name
  const { data } = await listCustomerKeys({ api_id: id, limit: 1, status: 'living' })
  if (data.length === 0) throw notFound()
  return id
}

/** @throws AppError not_found for an API that was deleted; one that was never made need not be. */
export async function requireUndeletedApi(id: string): Promise<void> {
  const record = await findRecord('api', id)
  if (record?.data.deleted === true) throw notFound()
}

const WRITE = { permission: 'customer-keys:write' } as const
const READ = { permission: 'customer-keys:read' } as const

export const API_METHODS: readonly (readonly [string, RouteHandler])[] = [
  [
    'apis.createApi',
    unkeyRoute(async (request) => {
      const { name } = await readJson(request, z.strictObject({ name: z.string().min(1).max(255) }))
      const id = `api_${newId().replaceAll('-', '')}`
      await keepRecord('api', id, { name })
      return { data: { apiId: id } }
    }, WRITE),
  ],
  [
    'apis.getApi',
    unkeyRoute(async (request) => {
      const { api_id } = await readJson(request, apiBody)
      return { data: { id: api_id, name: await nameOf(api_id) } }
    }, READ),
  ],
  [
    'apis.deleteApi',
    unkeyRoute(async (request) => {
      const { api_id } = await readJson(request, apiBody)
      const name = await nameOf(api_id)
      await revokeKeysOfApi(api_id)
      await keepRecord('api', api_id, { name, deleted: true })
      return { data: {} }
    }, WRITE),
  ],
  [
    'apis.listKeys',
    unkeyRoute(async (request) => {
      const { api_id, limit, cursor, external_id } = await readJson(request, listBody)
      await nameOf(api_id)
      const { data, next_cursor } = await listCustomerKeys({ api_id, limit, cursor, external_id, status: 'living' })
      return { data: data.map(toUnkeyKey), pagination: toPagination(next_cursor) }
    }, READ),
  ],
]
