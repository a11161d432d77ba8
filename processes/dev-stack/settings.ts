import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { inRepository } from './repository'
import { StackError } from './stack-error'

export type Mode = 'production' | 'development'

/** What the stack is started with: the environment with its defaults. */
export type Settings = {
  mode: Mode
  data_dir: string
  port: number
  ingest_port: number
  supabase_port: number
  database_port: number
  /** Address that Next and ingest listen on; the demo has known passwords, so it stays on this machine by default. */
  host: string
  root_domain: string
  /** Set when the stack runs on a database and an auth server of somebody else's. */
  external: { owner_url: string | undefined } | null
  seed: boolean
  /** Whether the embedded auth server asks new users to confirm their address. */
  confirm_email: boolean
}

/** Below the range from which systems lend ports to outgoing connections (Linux from 32768): none of those can be in the way. */
const PORTS = { PORT: 3000, INGEST_PORT: 3001, SUPABASE_PORT: 3002, DATABASE_PORT: 3003 } as const

const OPTIONS = ['--dev', '--doctor', '--reset', '--yes']

/** Throws StackError that names what is no option: what is mistyped must not start or remove anything. */
export function requireKnownOptions(options: readonly string[]): void {
  const unknown = options.filter((option) => !OPTIONS.includes(option))
  if (unknown.length === 0) return
  throw new StackError(
    `"${unknown.join(' ')}" is not understood: the only option is --yes, of npm run reset.`,
    'The commands are in the README; everything that can be set is a variable of .env.example.',
  )
}

/** Reads `.env` of the checkout (variables already set win) and the environment. Throws StackError on a wrong value. */
export function readSettings(mode: Mode): Settings {
  loadEnvFile()
  const port = readPort('PORT')
  const external = readExternal()
  const settings: Settings = {
    mode,
    data_dir: dataDirectory(),
    port,
    ingest_port: readPort('INGEST_PORT'),
    supabase_port: readPort('SUPABASE_PORT'),
    database_port: readPort('DATABASE_PORT'),
    host: process.env.HOST || '127.0.0.1',
    root_domain: process.env.ROOT_DOMAIN || `localhost:${port}`,
    external,
    seed: readFlag('SEED_DEMO', external === null),
    confirm_email: readFlag('SUPABASE_CONFIRM_EMAIL', false),
  }
  requireDistinctPorts(settings)
  return settings
}

/** Reads `.env` of the checkout; variables already set win. */
export function loadEnvFile(): void {
  const file = inRepository('.env')
  if (existsSync(file)) process.loadEnvFile(file)
}

/** DATA_DIR as an absolute path; default `.data` in the checkout. */
export function dataDirectory(): string {
  return process.env.DATA_DIR ? resolve(process.env.DATA_DIR) : inRepository('.data')
}

/** The ports this stack will listen on, with the variable that names each. */
export function portsOf(settings: Settings): [variable: keyof typeof PORTS, port: number][] {
  const own: [keyof typeof PORTS, number][] = [
    ['PORT', settings.port],
    ['INGEST_PORT', settings.ingest_port],
  ]
  if (settings.external) return own
  return [...own, ['SUPABASE_PORT', settings.supabase_port], ['DATABASE_PORT', settings.database_port]]
}

function readPort(variable: keyof typeof PORTS): number {
  const text = process.env[variable]
  if (!text) return PORTS[variable]
  const port = Number(text)
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port
  throw new StackError(`${variable} is "${text}", which is not a port.`, `Set ${variable} to a number from 1 to 65535.`)
}

function readFlag(variable: string, fallback: boolean): boolean {
  const text = process.env[variable]
  if (!text) return fallback
  if (['true', '1', 'false', '0'].includes(text)) return text === 'true' || text === '1'
  throw new StackError(`${variable} is "${text}", which is neither yes nor no.`, `Set ${variable} to true or false.`)
}

function requireDistinctPorts(settings: Settings): void {
  const seen = new Map<number, string>()
  for (const [variable, port] of portsOf(settings)) {
    const other = seen.get(port)
    if (other) {
      throw new StackError(`${other} and ${variable} are both ${port}.`, 'Give each process a port of its own.')
    }
    seen.set(port, variable)
  }
}

function readExternal(): Settings['external'] {
  const { DATABASE_URL, SUPABASE_URL, OPERATOR_DATABASE_URL, SUPABASE_PUBLISHABLE_KEY, OWNER_DATABASE_URL } =
    process.env
  if (!DATABASE_URL && !SUPABASE_URL) return null
  const missing = Object.entries({ DATABASE_URL, OPERATOR_DATABASE_URL, SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY })
    .filter(([, value]) => !value)
    .map(([name]) => name)
  if (missing.length === 0) return { owner_url: OWNER_DATABASE_URL || undefined }
  throw new StackError(
    `A database of your own needs ${missing.join(' and ')} too.`,
    'Set them, or unset DATABASE_URL and SUPABASE_URL to run the embedded stack.',
  )
}
