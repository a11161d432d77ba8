// The long form of the kill test: 100 kills of ingest processes and 25 of Postgres (KILLS_INGEST, KILLS_POSTGRES) under load.
// Ends with 1 when anything that was promised is not so.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { closePools } from '@/libs/db/pools'
import { forgetEnv } from '@/libs/env'
import { log } from '@/libs/log'
import { createTestDatabase } from '@/tests/support/database'
import { proveKills } from '@/tests/support/kills'
import { startTestCluster } from '@/tests/support/test-cluster'

const ingestKills = Number(process.env.KILLS_INGEST ?? 100)
const postgresKills = Number(process.env.KILLS_POSTGRES ?? 25)

// That connections break is what is asked for.
log.level = 'silent'
const cluster = await startTestCluster()
try {
  const { directory, supabase } = cluster.cluster
  const database = await createTestDatabase(cluster.cluster)
  mkdirSync(join(directory, 'mail'), { recursive: true })
  Object.assign(process.env, {
    DATABASE_URL: database.server_url,
    OPERATOR_DATABASE_URL: database.operator_url,
    SUPERUSER_DATABASE_URL: database.superuser_url,
    SUPABASE_URL: supabase.url,
    SUPABASE_PUBLISHABLE_KEY: supabase.publishable_key,
    SUPABASE_SECRET_KEY: supabase.secret_key,
    SUPABASE_JWT_SECRET: supabase.jwt_secret,
    ROOT_DOMAIN: 'localhost:3000',
    DATA_DIR: directory,
    MAIL_DIR: join(directory, 'mail'),
  })
  forgetEnv()
  let done = 0
  const report = await proveKills(cluster, {
    ingest_kills: ingestKills,
    postgres_kills: postgresKills,
    on_kill: (what) => {
      done += 1
      process.stderr.write(`${done}/${ingestKills + postgresKills} ${what}\n`)
    },
  })
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
  process.exitCode = report.problems.length > 0 ? 1 : 0
} finally {
  await closePools()
  await cluster.stop()
}
