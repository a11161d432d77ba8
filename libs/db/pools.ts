import pg from 'pg'
import { env } from '@/libs/env'
import { log } from '@/libs/log'
import { connectionSettings } from './connection'
import { askWhetherThere } from './notifications'
import { closePipelines } from './pipelines'
import { watchForSilence } from './silence'

type PoolName = 'server' | 'operator'
const pools = new Map<PoolName, pg.Pool>()

function poolOf(name: PoolName, connectionString: string, max: number): pg.Pool {
  const existing = pools.get(name)
  if (existing) return existing
  const pool = new pg.Pool({
    ...connectionSettings,
    connectionString,
    max,
    application_name: `holdfast ${name}`,
    idleTimeoutMillis: 30_000,
  })
  // A connection that is cut while somebody uses it fails their statement; unheard, its error would end the process.
  pool.on('connect', (client) => {
    client.on('error', (error) => log.warn({ error: error.message, pool: name }, 'database connection lost'))
  })
  pool.on('error', (error) => log.warn({ error: error.message, pool: name }, 'idle database connection lost'))
  pools.set(name, pool)
  watchForSilence(askWhetherThere)
  return pool
}

/** Connections as `app_server`: tenant data under row security. */
export function serverPool(): pg.Pool {
  return poolOf('server', env().DATABASE_URL, env().DATABASE_POOL_SIZE)
}

/** Connections as `app_operator`: the registry. Only libs/db/operator-db.ts uses it. */
export function operatorPool(): pg.Pool {
  return poolOf('operator', env().OPERATOR_DATABASE_URL, Math.min(4, env().DATABASE_POOL_SIZE))
}

/** Closes every connection; the next use opens new ones. */
export async function closePools(): Promise<void> {
  const open = [...pools.values()]
  pools.clear()
  // Pools last: a statement that is taken back from a pipeline goes on in one.
  await closePipelines()
  await Promise.all(open.map((pool) => pool.end()))
}
