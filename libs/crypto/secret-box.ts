import { createHash, hkdfSync, randomBytes } from 'node:crypto'
import { env } from '@/libs/env'
import { decrypt, encrypt } from './aes-gcm'

/** Where a secret lives: it opens nowhere else, in no other tenant, table, column or row. */
export type SecretPlace = { tenant_id: string; table: string; column: string; row: string }

/** A tenant's own key, in the clear: what seals its secrets. */
export type TenantKey = { version: number; bytes: Buffer }

/** A tenant's own key as it is kept, and which master key wraps it. */
export type WrappedKey = { wrapped: string; master_id: string }

type MasterKey = { id: string; bytes: Buffer }

const WRAP = 'w1'
const SEAL = 'v2'
/** Sealed with a key that was derived, not wrapped: still opened, made no more. */
const DERIVED = 'v1'
const KEY_BYTES = 32

/** That none of ENCRYPTION_KEYS is the one something was made with. */
export class MissingKeyError extends Error {
  override name = 'MissingKeyError'
}

function masterKeys(): MasterKey[] {
  return env().ENCRYPTION_KEYS.map((text) => {
    const bytes = Buffer.from(text, 'base64')
    return { id: createHash('sha256').update(bytes).digest('hex').slice(0, 8), bytes }
  })
}

/** Id of the master key that wraps new keys: the first of ENCRYPTION_KEYS; null without any. */
export function firstMasterId(): string | null {
  return masterKeys()[0]?.id ?? null
}

function findMaster(id: string): MasterKey {
  const master = masterKeys().find((key) => key.id === id)
  if (!master) throw new MissingKeyError(`None of ENCRYPTION_KEYS is the key ${id}.`)
  return master
}

/** A new key at random. */
export function makeTenantKey(version: number): TenantKey {
  return { version, bytes: randomBytes(KEY_BYTES) }
}

const wrapBound = (masterId: string, tenantId: string, version: number): string =>
  JSON.stringify([WRAP, masterId, tenantId, version])

/** Wraps a tenant's key under the first of ENCRYPTION_KEYS, for this tenant and version alone. @throws MissingKeyError without any. */
export function wrapKey(tenantId: string, { version, bytes }: TenantKey): WrappedKey {
  const [master] = masterKeys()
  if (!master) throw new MissingKeyError('There are no ENCRYPTION_KEYS.')
  return { wrapped: encrypt(master.bytes, bytes, wrapBound(master.id, tenantId, version)), master_id: master.id }
}

/** Opens what wrapKey wrapped. @throws MissingKeyError when its master key is gone, Error when it was changed or belongs elsewhere. */
export function unwrapKey(tenantId: string, version: number, { wrapped, master_id }: WrappedKey): TenantKey {
  const master = findMaster(master_id)
  return { version, bytes: decrypt(master.bytes, wrapped, wrapBound(master.id, tenantId, version)) }
}

const boundTo = ({ tenant_id, table, column, row }: SecretPlace, version: number): string =>
  JSON.stringify([SEAL, version, tenant_id, table, column, row])

/** Seals a secret with a tenant's key, bound to its place and the version of the key. */
export function sealWith({ version, bytes }: TenantKey, secret: string, place: SecretPlace): string {
  return `${SEAL}.${version}.${encrypt(bytes, Buffer.from(secret, 'utf8'), boundTo(place, version))}`
}

/** Which version of the tenant's key sealed a secret; null for one that was sealed with a derived key. @throws Error for anything else. */
export function sealedVersion(sealed: string): number | null {
  const [format, part = ''] = sealed.split('.')
  if (format === DERIVED) return null
  if (format !== SEAL || !/^[1-9]\d{0,8}$/.test(part)) throw new Error('This is no sealed secret.')
  return Number(part)
}

/** Opens what sealWith sealed for the same place. @throws Error when it was changed or brought from elsewhere; it says nothing of the secret. */
export function openWith({ version, bytes }: TenantKey, sealed: string, place: SecretPlace): string {
  const [, , text = ''] = sealed.split('.')
  return decrypt(bytes, text, boundTo(place, version)).toString('utf8')
}

/** Opens a secret that was sealed with a key derived for the tenant from a master key. @throws as openWith, MissingKeyError. */
export function openDerived(sealed: string, place: SecretPlace): string {
  const [, keyId = '', text = ''] = sealed.split('.')
  const master = findMaster(keyId)
  const key = Buffer.from(hkdfSync('sha256', master.bytes, place.tenant_id, 'holdfast secret box', KEY_BYTES))
  const { tenant_id, table, column, row } = place
  return decrypt(key, text, JSON.stringify([DERIVED, keyId, tenant_id, table, column, row])).toString('utf8')
}
