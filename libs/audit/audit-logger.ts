import { isDeepStrictEqual } from 'node:util'
import { tenantQuery } from '@/libs/db/tenant-db'
import { isUuid } from '@/libs/ids'
import { hideSecrets } from './hide-secrets'

export type AuditEntry = {
  /** `noun.verb`, lower case with underscores: `user.signed_in`. */
  action: string
  target_type: string
  target_id?: string | null
  /** Default `success`. */
  outcome?: 'success' | 'denied' | 'failure'
  before?: unknown
  after?: unknown
  metadata?: Record<string, unknown>
}

type Fields = Readonly<Record<string, unknown>>

const toJson = (value: unknown): string | null =>
  value === undefined || value === null ? null : JSON.stringify(hideSecrets(value))

/**
 * Writes one row to the audit log of the current tenant, with the actor of the current context, in its transaction (or
 * in one of its own after setTenantContext). Secrets are hidden. Gives the id of the row.
 * @throws Error outside of a tenant context.
 */
async function log(entry: AuditEntry): Promise<string> {
  const rows = await tenantQuery<{ id: string }>(
    'select app.log_audit($1, $2, $3, $4, $5::jsonb, $6::jsonb, $7::jsonb) as id',
    [
      entry.action,
      entry.target_type,
      entry.target_id ?? null,
      entry.outcome ?? 'success',
      toJson(entry.before),
      toJson(entry.after),
      toJson(entry.metadata ?? {}),
    ],
  )
  return rows[0]?.id ?? ''
}

/** The fields in which two versions differ, as they were and as they are. */
function difference(before: Fields, after: Fields): { before: Fields; after: Fields } {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (name) => !isDeepStrictEqual(before[name], after[name]),
  )
  const pick = (from: Fields) =>
    Object.fromEntries(names.filter((name) => Object.hasOwn(from, name)).map((name) => [name, from[name]]))
  return { before: pick(before), after: pick(after) }
}

const user = (userId: string) => ({ target_type: 'user', target_id: userId })

/**
 * The record of what no trigger can see. Changes of rows need no call: the database notes them itself.
 * Each function writes one row for the current tenant and actor and gives its id; passwords, tokens and keys in what is
 * handed over are replaced by `[hidden]`.
 */
export const AuditLogger = Object.freeze({
  log,
  /** `user.created`: a person was made known, with the fields given. */
  logUserCreated: (userId: string, newData: Fields): Promise<string> =>
    log({ action: 'user.created', ...user(userId), after: newData }),
  /** `user.updated`: only the fields that differ are kept. */
  logUserUpdated: (userId: string, oldData: Fields, newData: Fields): Promise<string> =>
    log({ action: 'user.updated', ...user(userId), ...difference(oldData, newData) }),
  /** `user.deleted`: with the last known fields. */
  logUserDeleted: (userId: string, oldData: Fields): Promise<string> =>
    log({ action: 'user.deleted', ...user(userId), before: oldData }),
  /** `user.signed_in`. */
  logSignIn: (userId: string, metadata: Record<string, unknown> = {}): Promise<string> =>
    log({ action: 'user.signed_in', ...user(userId), metadata }),
  /** `user.signed_out`. */
  logSignOut: (userId: string, metadata: Record<string, unknown> = {}): Promise<string> =>
    log({ action: 'user.signed_out', ...user(userId), metadata }),
  /**
   * `user.sign_in_failed`: `who` is the address or id that was tried; null when even that is unknown. Only an id becomes the
   * target; anything else may be personal and goes where it can be erased, into the details as `tried`.
   */
  logSignInFailed: (who: string | null, reason: string, metadata: Record<string, unknown> = {}): Promise<string> => {
    const known = who !== null && isUuid(who)
    return log({
      action: 'user.sign_in_failed',
      target_type: 'user',
      target_id: known ? who : null,
      outcome: 'failure',
      metadata: { ...metadata, ...(who === null || known ? {} : { tried: who }), reason },
    })
  },
  /** `<noun>.read`: somebody looked at what must not be looked at unseen. */
  logRead: (noun: string, metadata: Record<string, unknown>, targetId: string | null = null): Promise<string> =>
    log({ action: `${noun}.read`, target_type: noun, target_id: targetId, metadata }),
  /** `<noun>.exported`: data leaves the product; written before the first byte does. */
  logExport: (noun: string, metadata: Record<string, unknown>): Promise<string> =>
    log({ action: `${noun}.exported`, target_type: noun, metadata }),
})
