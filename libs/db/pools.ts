import pg from 'pg'
import { env } from '@/libs/env'
import { log } from '@/libs/log'

const INT8 = 20
const types: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === INT8 && format !== 'binary' ? parseInt8 : pg.types.getTypeParser(oid, format as 'text'),
}

function parseInt8(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new RangeError(`bigint ${text} is not exact as a number`)
  return value
}

type PoolName = 'server' | 'operator'
const pools = new Map<PoolName, pg.Pool>()

function poolOf(name: PoolName, connectionString: string, max: number): pg.Pool {
  const existing = pools.get(name)
  if (existing) return existing
  const pool = new pg.Pool({
    connectionString,
    max,
    types,
    application_name: `holdfast ${name}`,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 30_000,
    statement_timeout: 30_000,
    idle_in_transaction_session_timeout: 30_000,
    keepAlive: true,
  })
  // A connection that is cut while somebody uses it fails their statement; unheard, its error would end the process.
  pool.on('connect', (client) => {
    client.on('error', (error) => log.warn({ error: error.message, pool: name }, 'database connection lost'))
  })
  pool.on('error', (error) => log.warn({ error: error.message, pool: name }, 'idle database connection lost'))
  pools.set(name, pool)
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
  await Promise.all(open.map((pool) => pool.end()))
}
