import { tenantQuery } from '@/libs/db/tenant-db'
import { AppError } from '@/libs/errors'
import { currentContext } from '@/libs/tenancy/tenant-context'
import {
  firstMasterId,
  MissingKeyError,
  makeTenantKey,
  openDerived,
  openWith,
  type SecretPlace,
  sealedVersion,
  sealWith,
  type TenantKey,
  unwrapKey,
  type WrappedKey,
  wrapKey,
} from './secret-box'

type StoredKey = WrappedKey & { version: number }

const COLUMNS = 'version, wrapped, master_id'

/** Columns that hold sealed secrets, so that those from before wrapped keys are found. */
const SEALED_COLUMNS = [{ table: 'stripe_exports', column: 'secret', key: 'id' }] as const

async function loadKey(version: number | null): Promise<StoredKey | undefined> {
  const [row] = await tenantQuery<StoredKey>(
    `select ${COLUMNS} from tenant_keys where tenant_id = $1 and ($2::integer is null or version = $2) order by version desc limit 1`,
    [currentContext().tenantId, version],
  )
  return row
}

/** Makes the key of a version, unless somebody else did at the same time. */
async function addKey(version: number): Promise<TenantKey> {
  const { tenantId } = currentContext()
  const { wrapped, master_id } = wrapKey(tenantId, makeTenantKey(version))
  await tenantQuery(
    `insert into tenant_keys (tenant_id, version, wrapped, master_id) values ($1, $2, $3, $4) on conflict (tenant_id, version) do nothing`,
    [tenantId, version, wrapped, master_id],
  )
  const stored = await loadKey(version)
  if (!stored) throw new Error('A key that was added is there.')
  return unwrapKey(tenantId, version, stored)
}

/** The key the current tenant's secrets are sealed with: the newest, or a new one where the master key of that is lost. */
async function sealingKey(): Promise<TenantKey> {
  const stored = await loadKey(null)
  if (!stored) return addKey(1)
  try {
    return unwrapKey(currentContext().tenantId, stored.version, stored)
  } catch (error) {
    if (!(error instanceof MissingKeyError)) throw error
    return addKey(stored.version + 1)
  }
}

function requirePlace({ tenant_id }: SecretPlace): void {
  if (tenant_id !== currentContext().tenantId) throw new Error('A secret is sealed and opened within its own tenant.')
}

/**
 * Seals a secret of the current tenant with AES-256-GCM under the tenant's own key, bound to its place; the key is made at its
 * first use. @throws AppError conflict when the installation has no ENCRYPTION_KEYS.
 */
export async function sealSecret(secret: string, place: SecretPlace): Promise<string> {
  requirePlace(place)
  if (firstMasterId() === null)
    throw new AppError('conflict', 'Secrets cannot be kept here: this installation has no ENCRYPTION_KEYS yet.')
  return sealWith(await sealingKey(), secret, place)
}

/**
 * Opens what sealSecret sealed for the same place. `stale` says that it was sealed in the manner of before, with a derived key:
 * seal it again. @throws MissingKeyError when the master key of its key is gone, Error when it was changed or brought from
 * elsewhere; neither says anything of the secret.
 */
export async function openSecret(sealed: string, place: SecretPlace): Promise<{ secret: string; stale: boolean }> {
  requirePlace(place)
  const version = sealedVersion(sealed)
  if (version === null) return { secret: openDerived(sealed, place), stale: true }
  const stored = await loadKey(version)
  if (!stored) throw new MissingKeyError(`The key ${version} of this tenant is gone.`)
  return { secret: openWith(unwrapKey(place.tenant_id, version, stored), sealed, place), stale: false }
}

/**
 * Wraps the keys of the current tenant that are under another master key anew, under the first of ENCRYPTION_KEYS, and seals
 * secrets from before such keys with them. Safe to repeat and to break off: until its transaction ends, everything is as it was.
 * Gives how many it renewed and how many it could not, because their master key is not here.
 */
export async function renewKeys(): Promise<{ renewed: number; lost: number }> {
  const { tenantId } = currentContext()
  const first = firstMasterId()
  let [renewed, lost] = [0, 0]
  const keys = await tenantQuery<StoredKey>(
    `select ${COLUMNS} from tenant_keys where tenant_id = $1 and master_id <> $2 order by version for update`,
    [tenantId, first],
  )
  for (const stored of keys) {
    const key = unwrapOrNull(tenantId, stored)
    if (key) {
      const { wrapped, master_id } = wrapKey(tenantId, key)
      await tenantQuery(
        `update tenant_keys set wrapped = $3, master_id = $4, wrapped_at = now() where tenant_id = $1 and version = $2`,
        [tenantId, stored.version, wrapped, master_id],
      )
      renewed += 1
    } else lost += 1
  }
  for (const { table, column, key } of SEALED_COLUMNS) {
    const rows = await tenantQuery<{ row: string; sealed: string }>(
      `select ${key} as row, ${column} as sealed from ${table} where tenant_id = $1 and ${column} like 'v1.%' for update`,
      [tenantId],
    )
    for (const { row, sealed } of rows) {
      const place = { tenant_id: tenantId, table, column, row }
      const secret = openDerivedOrNull(sealed, place)
      if (secret === null) lost += 1
      else {
        await tenantQuery(`update ${table} set ${column} = $3 where tenant_id = $1 and ${key} = $2`, [
          tenantId,
          row,
          await sealSecret(secret, place),
        ])
        renewed += 1
      }
    }
  }
  return { renewed, lost }
}

function unwrapOrNull(tenantId: string, stored: StoredKey): TenantKey | null {
  try {
    return unwrapKey(tenantId, stored.version, stored)
  } catch (error) {
    if (error instanceof MissingKeyError) return null
    throw error
  }
}

function openDerivedOrNull(sealed: string, place: SecretPlace): string | null {
  try {
    return openDerived(sealed, place)
  } catch (error) {
    if (error instanceof MissingKeyError) return null
    throw error
  }
}
