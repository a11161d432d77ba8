import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { StackError } from './stack-error'

const NAMES = [
  'superuser_password',
  'owner_password',
  'server_password',
  'operator_password',
  'auth_password',
  'jwt_secret',
  'publishable_key',
  'secret_key',
  'encryption_key',
] as const

/** Passwords and keys of one embedded stack, made once and kept in DATA_DIR/secrets.json (readable by its owner only). */
export type Secrets = Record<(typeof NAMES)[number], string>

/** Bytes of randomness where 24 are not what is asked for. */
const SIZES: Partial<Record<(typeof NAMES)[number], number>> = { encryption_key: 32 }

const PREFIXES: Partial<Record<(typeof NAMES)[number], string>> = {
  publishable_key: 'sb_publishable_',
  secret_key: 'sb_secret_',
}

/** Reads the secrets of a data directory; those that are missing are made and kept. */
export function loadSecrets(dataDir: string): Secrets {
  const path = join(dataDir, 'secrets.json')
  const secrets = readSecrets(dataDir)
  writeFileSync(`${path}.partial`, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${path}.partial`, path)
  return secrets
}

/** As `loadSecrets`, but writes nothing: what is missing is made for this once. */
export function readSecrets(dataDir: string): Secrets {
  const kept = readKept(join(dataDir, 'secrets.json'))
  const made = NAMES.map((name) => [
    name,
    kept[name] ?? `${PREFIXES[name] ?? ''}${randomBytes(SIZES[name] ?? 24).toString('base64url')}`,
  ])
  return Object.fromEntries(made)
}

function readKept(path: string): Partial<Secrets> {
  if (!existsSync(path)) return {}
  const text = readFileSync(path, 'utf8')
  try {
    return JSON.parse(text)
  } catch {
    throw new StackError(`${path} is damaged.`, 'Restore it from a backup, or run npm run reset to start afresh.')
  }
}
