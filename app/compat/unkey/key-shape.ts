import type { CustomerKeyRow } from '@/features/customer-keys/services/customer-key-row'
import type { Verification } from '@/features/customer-keys/services/verification-service'

const isEmpty = (value: object): boolean => Object.keys(value).length === 0

function identity(externalId: string | null | undefined, customerId: string | null | undefined) {
  return externalId ? { identity: { id: customerId ?? externalId, externalId } } : {}
}

/** Credits of a key as the wire has them; null: unlimited. */
export function toCredits({ remaining, refill }: CustomerKeyRow) {
  return {
    remaining,
    ...(refill
      ? {
          refill: {
            interval: refill.interval,
            amount: refill.amount,
            ...(refill.refill_day === undefined ? {} : { refillDay: refill.refill_day }),
          },
        }
      : {}),
  }
}

/** A key as the wire has it: times in milliseconds, nothing where there is nothing. */
export function toUnkeyKey(row: CustomerKeyRow) {
  const { id, prefix, enabled, name, meta, permissions, roles, ratelimits, expires_at, last_used_at } = row
  return {
    keyId: id,
    start: prefix,
    enabled,
    ...(name ? { name } : {}),
    ...(isEmpty(meta) ? {} : { meta }),
    createdAt: row.created_at.getTime(),
    updatedAt: row.updated_at.getTime(),
    ...(last_used_at ? { lastUsedAt: last_used_at.getTime() } : {}),
    ...(expires_at ? { expires: expires_at.getTime() } : {}),
    permissions,
    roles,
    ...(row.remaining === null ? {} : { credits: toCredits(row) }),
    ...identity(row.external_id, row.customer_id),
    ratelimits: ratelimits.map((limit) => ({
      id: `${id}:${limit.name}`,
      name: limit.name,
      limit: limit.limit,
      duration: limit.duration_ms,
      autoApply: limit.auto_apply,
    })),
  }
}

/** What a verification found, as the wire has it. */
export function toUnkeyVerification({ valid, code, id, ...found }: Verification) {
  if (id === undefined) return { valid, code }
  const { name, meta, expires_at, remaining, enabled, permissions, roles, ratelimits } = found
  return {
    valid,
    code,
    keyId: id,
    ...(name ? { name } : {}),
    ...(meta && !isEmpty(meta) ? { meta } : {}),
    ...(expires_at ? { expires: Date.parse(expires_at) } : {}),
    ...(typeof remaining === 'number' ? { credits: remaining } : {}),
    enabled,
    permissions,
    roles,
    ...identity(found.external_id, found.customer_id),
    ...(ratelimits
      ? {
          ratelimits: ratelimits.map((limit) => ({
            id: `${id}:${limit.name}`,
            name: limit.name,
            limit: limit.limit,
            duration: limit.duration_ms,
            reset: limit.reset,
            remaining: limit.remaining,
            exceeded: limit.exceeded,
            autoApply: limit.auto_apply,
          })),
        }
      : {}),
  }
}
