import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { inject } from 'vitest'
import { connectionUrl, SUPERUSER } from '../../processes/dev-stack/postgres'
import { inRepository } from '../../processes/dev-stack/repository'
import { withClient } from '../../processes/dev-stack/roles'
import { TEMPLATE_DATABASE, type TestCluster } from './test-cluster'

export type TestDatabase = {
  name: string
  /** Login holdfast_owner: owns everything, runs migrations. */
  owner_url: string
  /** Login app_server, as DATABASE_URL. */
  server_url: string
  /** Login app_operator, as OPERATOR_DATABASE_URL. */
  operator_url: string
  /** Superuser, for looking where nobody else may. */
  superuser_url: string
  drop: () => Promise<void>
}

/** A new database with all migrations applied and no row in it, cloned from the template (about 50 ms). */
export async function createTestDatabase(cluster: TestCluster = inject('cluster')): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`
  await withClient(superuserUrl(cluster, 'postgres'), (client) =>
    client.query(`create database ${name} template ${TEMPLATE_DATABASE} owner holdfast_owner`),
  )
  await withClient(superuserUrl(cluster, name), async (client) => {
    await client.query(await readFile(inRepository('supabase', 'database.sql'), 'utf8'))
  })
  return {
    name,
    owner_url: connectionUrl('holdfast_owner', cluster.passwords.owner, cluster.port, name),
    server_url: connectionUrl('app_server', cluster.passwords.server, cluster.port, name),
    operator_url: connectionUrl('app_operator', cluster.passwords.operator, cluster.port, name),
    superuser_url: superuserUrl(cluster, name),
    drop: async () => {
      await withClient(superuserUrl(cluster, 'postgres'), (client) =>
        client.query(`drop database if exists ${name} with (force)`),
      )
    },
  }
}

function superuserUrl(cluster: TestCluster, database: string): string {
  return connectionUrl(SUPERUSER, cluster.superuser_password, cluster.port, database)
}
