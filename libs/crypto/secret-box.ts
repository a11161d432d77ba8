import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'
import { env } from '@/libs/env'
import { AppError } from '@/libs/errors'

/** Where a secret lives: it opens nowhere else, in no other tenant, table, column or row. */
export type SecretPlace = { tenant_id: string; table: string; column: string; row: string }

type MasterKey = { id: string; bytes: Buffer }

const VERSION = 'v1'
const NONCE_BYTES = 12
const TAG_BYTES = 16

function masterKeys(): MasterKey[] {
  return env().ENCRYPTION_KEYS.map((text) => {
    const bytes = Buffer.from(text, 'base64')
    return { id: createHash('sha256').update(bytes).digest('hex').slice(0, 8), bytes }
  })
}

/** Each tenant's own key, so that no nonce is ever shared between tenants. */
function tenantKey(master: MasterKey, tenantId: string): Buffer {
  return Buffer.from(hkdfSync('sha256', master.bytes, tenantId, 'holdfast secret box', 32))
}

function bind({ tenant_id, table, column, row }: SecretPlace, keyId: string): Buffer {
  return Buffer.from(JSON.stringify([VERSION, keyId, tenant_id, table, column, row]))
}

/** Whether this installation has a key to seal secrets with. */
export function canSealSecrets(): boolean {
  return env().ENCRYPTION_KEYS.length > 0
}

/**
 * Seals a secret with AES-256-GCM under the first of ENCRYPTION_KEYS, bound to its place.
 * @throws AppError conflict when the installation has no key.
 */
export function sealSecret(secret: string, place: SecretPlace): string {
  const [master] = masterKeys()
  if (!master)
    throw new AppError('conflict', 'Secrets cannot be kept here: this installation has no ENCRYPTION_KEYS yet.')
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', tenantKey(master, place.tenant_id), nonce)
  cipher.setAAD(bind(place, master.id))
  const sealed = Buffer.concat([nonce, cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return `${VERSION}.${master.id}.${sealed.toString('base64url')}`
}

/**
 * Opens what sealSecret sealed for the same place, under any of ENCRYPTION_KEYS. `stale` says that it was not the first
 * of them: seal it again.
 * @throws Error when the key is gone, or the text was changed or brought from elsewhere; it says nothing of the secret.
 */
export function openSecret(sealed: string, place: SecretPlace): { secret: string; stale: boolean } {
  const [version, keyId = '', text = ''] = sealed.split('.')
  const keys = masterKeys()
  const master = keys.find(({ id }) => id === keyId)
  if (version !== VERSION || !master) throw new Error(`No key of ENCRYPTION_KEYS opens this secret (${keyId}).`)
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.length < NONCE_BYTES + TAG_BYTES) throw new Error('This secret is damaged.')
  const decipher = createDecipheriv('aes-256-gcm', tenantKey(master, place.tenant_id), bytes.subarray(0, NONCE_BYTES))
  decipher.setAAD(bind(place, keyId))
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
  try {
    const secret = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()])
    return { secret: secret.toString('utf8'), stale: keyId !== keys[0]?.id }
  } catch {
    throw new Error('This secret was changed, or belongs elsewhere.')
  }
}
