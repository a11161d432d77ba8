import { accessSync, constants, existsSync, readdirSync, statfsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Client } from 'pg'
import { isBuildCurrent } from './build'
import { findChromium, whyUnusable } from './chromium'
import { isOwnDirectory, postgresDirectory } from './data-directory'
import { isPortFree } from './ports'
import { processIdentity } from './process-identity'
import { green, red, yellow } from './progress'
import { answersOk } from './readiness'
import { inRepository } from './repository'
import { withClient } from './roles'
import { hasLeftovers, readRecord } from './run-record'
import { readSecrets } from './secrets'
import { portsOf, readSettings, type Settings } from './settings'
import { reachableHost, stackAddresses } from './stack-environment'

type Finding = { state: 'ok' | 'note' | 'wrong'; text: string; way_out?: string }

const SMALLEST_DISK_GB = 2
/** Whoever answers later than that is not well either. */
const PATIENCE = { connectionTimeoutMillis: 5_000, query_timeout: 5_000 }

/** `npm run doctor`: what is there, what is wrong, and the way out of each. Returns 1 when something is wrong. */
export async function doctor(): Promise<number> {
  const settings = readSettings('production')
  const findings = [nodeVersion(), disk(settings), ...(await stackOrPorts(settings)), build(), chromium()]
  for (const { state, text, way_out } of findings) {
    const sign = state === 'ok' ? green('✓') : state === 'note' ? yellow('!') : red('✗')
    process.stdout.write(`  ${sign} ${text}\n${way_out ? `    ${way_out}\n` : ''}`)
  }
  return findings.some(({ state }) => state === 'wrong') ? 1 : 0
}

function nodeVersion(): Finding {
  return { state: 'ok', text: `Node ${process.versions.node} (${process.execPath})` }
}

function disk(settings: Settings): Finding {
  let directory = settings.data_dir
  while (!existsSync(directory)) directory = dirname(directory)
  if (!isWritable(directory)) {
    return {
      state: 'wrong',
      text: `${settings.data_dir} cannot be written`,
      way_out: 'Make it writable, or choose another: DATA_DIR=/path/you/own npm start',
    }
  }
  const foreign = ['secrets.json', 'postgres', 'logs'].find((name) => isForeign(join(settings.data_dir, name)))
  if (foreign) {
    return {
      state: 'wrong',
      text: `${join(settings.data_dir, foreign)} cannot be read or written by this user`,
      way_out: 'Make it yours (chown), or start afresh beside it: DATA_DIR=.data-mine npm start',
    }
  }
  const { bavail, bsize } = statfsSync(directory)
  const free = (bavail * bsize) / 1e9
  const text = `${free.toFixed(1)} GB free for ${settings.data_dir}`
  if (free >= SMALLEST_DISK_GB) return { state: 'ok', text }
  return {
    state: 'wrong',
    text,
    way_out: `Free some space (${SMALLEST_DISK_GB} GB are enough), or set DATA_DIR to another disk.`,
  }
}

function isForeign(path: string): boolean {
  if (!existsSync(path)) return false
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
    return false
  } catch {
    return true
  }
}

function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK | constants.X_OK)
    return statSync(directory).isDirectory()
  } catch {
    return false
  }
}

async function stackOrPorts(settings: Settings): Promise<Finding[]> {
  const main = readRecord(settings.data_dir)?.main
  if (main && processIdentity(main.pid) === main.identity) {
    const running: Finding = { state: 'ok', text: `Holdfast is running (process ${main.pid})` }
    return [running, ...(await database(settings)), ...(await servers(settings))]
  }
  const findings: Finding[] = [{ state: 'note', text: 'Holdfast is not running', way_out: 'npm start starts it.' }]
  const left = hasLeftovers(settings.data_dir)
  if (main) {
    findings.push({
      state: 'note',
      text: `The last run was killed${left ? ', and processes of it are still there' : ''}`,
      way_out: `The next npm start ${left ? 'ends them and ' : ''}recovers; nothing acknowledged is lost.`,
    })
  }
  for (const [variable, port] of portsOf(settings)) {
    if (await isPortFree(port)) findings.push({ state: 'ok', text: `Port ${port} (${variable}) is free` })
    else if (!left)
      findings.push({
        state: 'wrong',
        text: `Port ${port} (${variable}) is in use`,
        way_out: `Stop what listens there, or set ${variable} to another port.`,
      })
  }
  if (settings.external) return [...findings, ...(await database(settings))]
  const isOurs = existsSync(settings.data_dir) && isOwnDirectory(settings.data_dir)
  const cluster = isOurs ? postgresDirectory(settings.data_dir) : null
  findings.push({
    state: 'ok',
    text:
      cluster && existsSync(join(cluster, 'initialised'))
        ? `A database is in ${cluster}`
        : 'No database yet; npm start makes one',
  })
  return findings
}

/** Whether what listens for people and programs does its work. */
async function servers(settings: Settings): Promise<Finding[]> {
  const host = reachableHost(settings.host)
  const named = [
    { name: 'web', text: 'The application', port: settings.port },
    { name: 'ingest', text: 'The ingest process', port: settings.ingest_port },
  ]
  return Promise.all(
    named.map(async ({ name, text, port }): Promise<Finding> => {
      const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
      if (await answersOk(`http://${address}/readyz`)) return { state: 'ok', text: `${text} answers at ${address}` }
      return {
        state: 'wrong',
        text: `${text} does not answer at ${address}`,
        way_out: `Its log is ${join(settings.data_dir, 'logs', `${name}.log`)}.`,
      }
    }),
  )
}

async function database(settings: Settings): Promise<Finding[]> {
  const addresses = stackAddresses(settings, readSecrets(settings.data_dir))
  const findings: Finding[] = []
  try {
    const show = (client: Client) => client.query('show server_version')
    const { rows } = await withClient(addresses.database.server_url, show, PATIENCE)
    const version = String(rows[0].server_version)
    findings.push({ state: 'ok', text: `Postgres ${version} answers` })
    if (addresses.database.owner_url) findings.push(await migrations(addresses.database.owner_url))
  } catch (error) {
    findings.push({
      state: 'wrong',
      text: `Postgres does not answer: ${error instanceof Error ? error.message : String(error)}`,
      way_out: settings.external
        ? 'See to it that it runs, and to DATABASE_URL and OWNER_DATABASE_URL.'
        : `Its log is ${join(settings.data_dir, 'logs', 'postgres.log')}.`,
    })
  }
  const { url, publishable_key } = addresses.supabase
  findings.push(
    (await answersOk(`${url}/auth/v1/health`, { apikey: publishable_key }))
      ? { state: 'ok', text: `The Auth API answers at ${url}` }
      : {
          state: 'wrong',
          text: `The Auth API does not answer at ${url}`,
          way_out: settings.external
            ? 'See to it that it runs, and to SUPABASE_URL and SUPABASE_PUBLISHABLE_KEY.'
            : `Its log is ${join(settings.data_dir, 'logs', 'supabase-api.log')}.`,
        },
  )
  return findings
}

async function migrations(ownerUrl: string): Promise<Finding> {
  const files = readdirSync(inRepository('supabase', 'migrations')).filter((name) => name.endsWith('.sql'))
  const list = async (client: Client) => {
    const { rows: found } = await client.query("select to_regclass('supabase_migrations.schema_migrations') as name")
    if (found[0].name === null) return new Set<string>()
    const { rows } = await client.query('select version from supabase_migrations.schema_migrations')
    return new Set(rows.map((row) => String(row.version)))
  }
  const applied = await withClient(ownerUrl, list, PATIENCE)
  const pending = files.filter((name) => !applied.has(name.split('_')[0] ?? ''))
  if (applied.size === 0)
    return { state: 'note', text: 'The database holds nothing yet', way_out: 'npm start applies the migrations.' }
  if (pending.length === 0) return { state: 'ok', text: `All ${files.length} migrations are applied` }
  return {
    state: 'wrong',
    text: `Pending migrations: ${pending.join(', ')}`,
    way_out: 'Stop and run npm start again: it applies them.',
  }
}

function build(): Finding {
  if (!existsSync(inRepository('.next', 'BUILD_ID')))
    return { state: 'note', text: 'The application is not built yet', way_out: 'npm start builds it.' }
  return isBuildCurrent()
    ? { state: 'ok', text: 'The application is built' }
    : { state: 'note', text: 'The application was built of other sources', way_out: 'npm start builds it again.' }
}

function chromium(): Finding {
  const path = findChromium()
  const why = path ? whyUnusable(path) : null
  if (why)
    return {
      state: 'note',
      text: `The Chromium for the browser tests cannot be started: ${path}: ${why}`,
      way_out: 'Set CHROMIUM_PATH to one that starts.',
    }
  if (path) return { state: 'ok', text: `Chromium for the browser tests: ${path}` }
  return {
    state: 'note',
    text: 'No Chromium for the browser tests',
    way_out: 'npm test installs one, or set CHROMIUM_PATH.',
  }
}
