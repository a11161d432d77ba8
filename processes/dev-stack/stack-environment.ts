import { join, resolve } from 'node:path'
import { findEnvironmentErrors } from '@/libs/env'
import { childEnvironment } from './child-environment'
import { connectionUrl } from './postgres'
import type { Secrets } from './secrets'
import type { Settings } from './settings'
import { StackError } from './stack-error'

/** Databases of the embedded cluster: the product's, and the auth server's. */
export const PRODUCT_DATABASE = 'holdfast'
export const AUTH_DATABASE = 'supabase'

/** Addresses of the running stack, as they are shown and written to demo.json. */
export type StackAddresses = {
  database: { owner_url: string; server_url: string; operator_url: string }
  supabase: { url: string; publishable_key: string }
}

/** Where the databases and the auth server are: the embedded ones, or those of the environment. */
export function stackAddresses(settings: Settings, secrets: Secrets): StackAddresses {
  if (settings.external) {
    const variable = (name: string) => process.env[name] ?? ''
    return {
      database: {
        owner_url: settings.external.owner_url ?? '',
        server_url: variable('DATABASE_URL'),
        operator_url: variable('OPERATOR_DATABASE_URL'),
      },
      supabase: { url: variable('SUPABASE_URL'), publishable_key: variable('SUPABASE_PUBLISHABLE_KEY') },
    }
  }
  const url = (login: string, password: string) =>
    connectionUrl(login, password, settings.database_port, PRODUCT_DATABASE)
  return {
    database: {
      owner_url: url('holdfast_owner', secrets.owner_password),
      server_url: url('app_server', secrets.server_password),
      operator_url: url('app_operator', secrets.operator_password),
    },
    supabase: { url: `http://127.0.0.1:${settings.supabase_port}`, publishable_key: secrets.publishable_key },
  }
}

/** Where the embedded auth server keeps its users. */
export function authDatabaseUrl(settings: Settings, secrets: Secrets): string {
  return connectionUrl('holdfast_auth', secrets.auth_password, settings.database_port, AUTH_DATABASE)
}

/** The environment that every process of the product gets (libs/env.ts reads it). */
export function productEnvironment(settings: Settings, secrets: Secrets, addresses: StackAddresses): NodeJS.ProcessEnv {
  return childEnvironment({
    NODE_ENV: settings.mode,
    DATABASE_URL: addresses.database.server_url,
    OPERATOR_DATABASE_URL: addresses.database.operator_url,
    SUPABASE_URL: addresses.supabase.url,
    SUPABASE_PUBLISHABLE_KEY: addresses.supabase.publishable_key,
    ...(settings.external ? {} : { SUPABASE_JWT_SECRET: secrets.jwt_secret }),
    ROOT_DOMAIN: settings.root_domain,
    // Of an embedded database; a database of one's own has a key of its own, or none.
    ...(process.env.ENCRYPTION_KEYS || settings.external ? {} : { ENCRYPTION_KEYS: secrets.encryption_key }),
    HOST: settings.host,
    PORT: String(settings.port),
    INGEST_PORT: String(settings.ingest_port),
    INGEST_URL: process.env.INGEST_URL || `http://localhost:${settings.ingest_port}`,
    DATA_DIR: settings.data_dir,
    MAIL_DIR: process.env.MAIL_DIR ? resolve(process.env.MAIL_DIR) : join(settings.data_dir, 'mail'),
    MAIL_PAGE: process.env.MAIL_PAGE || String(hasMailPage(settings)),
    NEXT_TELEMETRY_DISABLED: '1',
    // The owner's login is for migrations and the seed; what serves requests never sees it.
    OWNER_DATABASE_URL: undefined,
  })
}

/** Whether /dev/mail shows the mails of MAIL_DIR: in development, where MAIL_PAGE says so, or on a machine nobody else reaches. */
export function hasMailPage(settings: Settings): boolean {
  const said = process.env.MAIL_PAGE
  if (process.env.SMTP_URL) return false
  if (settings.mode === 'development') return true
  if (said) return said === 'true' || said === '1'
  return !settings.external && isOwnMachine(settings)
}

/** Whether nobody beyond this machine is meant to reach the stack. */
export function isOwnMachine(settings: Settings): boolean {
  return isLoopback(settings.host) && !isBehindProxy(settings)
}

/** Whether what listens on this machine alone is handed on to others, as a proxy does for a domain of its own. */
function isBehindProxy({ root_domain }: Settings): boolean {
  return Number(process.env.TRUSTED_PROXY_HOPS ?? 0) > 0 || !/^localhost(?::\d+)?$/i.test(root_domain)
}

/** Whether only this machine reaches what listens on `host`. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}

/** Where this machine itself reaches what listens on `host`. */
export function reachableHost(host: string): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
}

/** Throws StackError that names every variable the product could not use: before anything is started, not when it fails on it. */
export function requireUsable(environment: NodeJS.ProcessEnv): void {
  const wrong = findEnvironmentErrors(environment)
  if (wrong.length === 0) return
  throw new StackError(
    `${wrong.length === 1 ? 'A variable of the environment is' : 'Some variables of the environment are'} not usable:\n${wrong.join('\n')}`,
    'Put them right where they are set (the shell, or .env in the checkout), or unset them for what is usual.',
  )
}
