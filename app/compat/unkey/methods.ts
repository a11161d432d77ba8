import {
  changeCredits,
  createCustomerKey,
  findKeyByText,
  revokeCustomerKey,
  updateCustomerKey,
} from '@/features/customer-keys/services/customer-key-service'
import { rotateCustomerKey } from '@/features/customer-keys/services/rotation-service'
import { verifyCustomerKey } from '@/features/customer-keys/services/verification-service'
import {
  deleteOverride,
  findOverrideOf,
  listOverrides,
  type OverrideRow,
  setOverride,
} from '@/features/rate-limits/services/override-service'
import { callLimits, type LimitResult } from '@/features/rate-limits/services/rate-limit-service'
import { readJson } from '@/libs/api-utils/read-json'
import type { RouteHandler } from '@/libs/api-utils/route-handler'
import { notFound } from '@/libs/errors'
import { ACCESS_METHODS } from './access-methods'
import { API_METHODS, requireUndeletedApi } from './api-methods'
import { IDENTITY_METHODS } from './identity-methods'
import { toCredits, toUnkeyKey, toUnkeyVerification } from './key-shape'
import { livingKey } from './living-key'
import { notSupported } from './method-not-supported'
import { toPagination, unkeyRoute } from './unkey-route'
import {
  createBody,
  creditsBody,
  keyIdBody,
  limitBody,
  multiLimitBody,
  overrideBody,
  overrideListBody,
  overrideNameBody,
  rerollBody,
  updateBody,
  verifyBody,
  whoamiBody,
} from './unkey-schema'

function toOverride({ id, duration, identifier, limit }: OverrideRow) {
  return { overrideId: id, duration, identifier, limit }
}

function toLimit({ limit, remaining, reset, override_id }: LimitResult) {
  return { limit, remaining, reset, ...(override_id ? { overrideId: override_id } : {}) }
}

/** The override of exactly this name. @throws AppError not_found. */
async function namedOverride(request: Request): Promise<OverrideRow> {
  const { namespace, identifier } = await readJson(request, overrideNameBody)
  const override = await findOverrideOf(namespace, identifier)
  if (!override) throw notFound()
  return override
}

const WRITE_KEYS = { permission: 'customer-keys:write' } as const
const READ_KEYS = { permission: 'customer-keys:read' } as const
const WRITE_LIMITS = { permission: 'rate-limits:write' } as const
const READ_LIMITS = { permission: 'rate-limits:read' } as const
const USE = { permission: 'usage:write', transaction: 'keyed' } as const

/** Every method of the Unkey wire that is understood, by the last part of its path. */
export const METHODS: ReadonlyMap<string, RouteHandler> = new Map<string, RouteHandler>([
  ...ACCESS_METHODS,
  ...API_METHODS,
  ...IDENTITY_METHODS,
  [
    'keys.createKey',
    unkeyRoute(async (request) => {
      const input = await readJson(request, createBody)
      if (input.api_id !== null) await requireUndeletedApi(input.api_id)
      const { id, key } = await createCustomerKey(input)
      return { data: { keyId: id, key } }
    }, WRITE_KEYS),
  ],
  [
    'keys.verifyKey',
    unkeyRoute(
      async (request) => ({ data: toUnkeyVerification(await verifyCustomerKey(await readJson(request, verifyBody))) }),
      USE,
    ),
  ],
  [
    'keys.getKey',
    unkeyRoute(async (request) => {
      const { key_id } = await readJson(request, keyIdBody)
      return { data: toUnkeyKey(await livingKey(key_id)) }
    }, READ_KEYS),
  ],
  [
    'keys.whoami',
    unkeyRoute(async (request) => {
      const row = await findKeyByText((await readJson(request, whoamiBody)).key)
      if (!row || row.revoked_at) throw notFound()
      return { data: toUnkeyKey(row) }
    }, READ_KEYS),
  ],
  [
    'keys.updateKey',
    unkeyRoute(async (request) => {
      const { key_id, patch } = await readJson(request, updateBody)
      const { id } = await livingKey(key_id)
      await updateCustomerKey(id, patch)
      return { data: {} }
    }, WRITE_KEYS),
  ],
  [
    'keys.deleteKey',
    unkeyRoute(async (request) => {
      const { id } = await livingKey((await readJson(request, keyIdBody)).key_id)
      await revokeCustomerKey(id)
      return { data: {} }
    }, WRITE_KEYS),
  ],
  [
    'keys.updateCredits',
    unkeyRoute(async (request) => {
      const { key_id, change } = await readJson(request, creditsBody)
      const { id } = await livingKey(key_id)
      return { data: toCredits(await changeCredits(id, change)) }
    }, WRITE_KEYS),
  ],
  [
    'keys.rerollKey',
    unkeyRoute(async (request) => {
      const { key_id, expiration } = await readJson(request, rerollBody)
      const { id } = await livingKey(key_id)
      const successor = await rotateCustomerKey(id, expiration)
      return { data: { keyId: successor.id, key: successor.key } }
    }, WRITE_KEYS),
  ],
  [
    'ratelimit.limit',
    unkeyRoute(async (request) => {
      const { success, limits } = await callLimits([await readJson(request, limitBody)])
      return { data: { ...limits.map(toLimit)[0], success } }
    }, USE),
  ],
  [
    'ratelimit.multiLimit',
    unkeyRoute(async (request) => {
      const calls = await readJson(request, multiLimitBody)
      const { success, limits } = await callLimits(calls)
      const checks = limits.map((verdict, index) => ({
        namespace: calls[index]?.namespace,
        identifier: calls[index]?.identifier,
        ...toLimit(verdict),
        passed: verdict.success,
      }))
      return { data: { passed: success, limits: checks } }
    }, USE),
  ],
  [
    'ratelimit.setOverride',
    unkeyRoute(async (request) => {
      const { override } = await setOverride(await readJson(request, overrideBody))
      return { data: { overrideId: override.id } }
    }, WRITE_LIMITS),
  ],
  [
    'ratelimit.getOverride',
    unkeyRoute(async (request) => ({ data: toOverride(await namedOverride(request)) }), READ_LIMITS),
  ],
  [
    'ratelimit.listOverrides',
    unkeyRoute(async (request) => {
      const { data, next_cursor } = await listOverrides(await readJson(request, overrideListBody))
      return { data: data.map(toOverride), pagination: toPagination(next_cursor) }
    }, READ_LIMITS),
  ],
  [
    'ratelimit.deleteOverride',
    unkeyRoute(async (request) => {
      await deleteOverride((await namedOverride(request)).id)
      return { data: {} }
    }, WRITE_LIMITS),
  ],
])

/** For a method that is not among them: asks who calls first, as all do. */
export const unknownMethod: RouteHandler = unkeyRoute(async (request) => {
  throw notSupported(new URL(request.url).pathname.split('/').at(-1) ?? 'This method')
})
