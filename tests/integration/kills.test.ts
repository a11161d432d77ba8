// Ingest processes and Postgres are killed under load, of every kind of request: what was acknowledged is counted once, what was
// refused is not, no cap is ever passed, and all books agree. `npm run bench:kills` is the long form. A cluster of its own.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { forgetEnv } from '@/libs/env'
import { createTestDatabase } from '../support/database'
import { proveKills } from '../support/kills'
import { type RunningTestCluster, startTestCluster } from '../support/test-cluster'
import { createWorld } from '../support/world'

const INGEST = Number(process.env.KILLS_INGEST ?? 6)
const POSTGRES = Number(process.env.KILLS_POSTGRES ?? 3)
let cluster: RunningTestCluster

beforeAll(async () => {
  cluster = await startTestCluster()
  const database = await createTestDatabase(cluster.cluster)
  Object.assign(process.env, {
    DATABASE_URL: database.server_url,
    OPERATOR_DATABASE_URL: database.operator_url,
    SUPERUSER_DATABASE_URL: database.superuser_url,
  })
  forgetEnv()
  await createWorld()
})
afterAll(() => cluster?.stop())

test('every acknowledged event is counted once, whatever is killed', async () => {
  const report = await proveKills(cluster, { ingest_kills: INGEST, postgres_kills: POSTGRES })
  expect(report.problems).toEqual([])
  expect(Object.values(report.kills).reduce((sum, count) => sum + count, 0)).toBe(INGEST + POSTGRES)
  expect(report.acknowledged).toBeGreaterThan(200 * (INGEST + POSTGRES))
  expect(report.refused).toBeGreaterThan(0)
  expect(report.repeated).toBeGreaterThan(0)
  expect(report.reservations.settled).toBeGreaterThan(0)
}, 3_600_000)
