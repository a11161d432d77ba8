import { setTimeout as sleep } from 'node:timers/promises'
import { logFile, postgresDirectory } from './data-directory'
import { applyMigrations } from './migrations'
import { type EmbeddedPostgres, startPostgres } from './postgres'
import { note } from './progress'
import { applyRoles, ensureAuthDatabase, ensureProductDatabase } from './roles'
import type { Secrets } from './secrets'
import type { Settings } from './settings'
import { AUTH_DATABASE, PRODUCT_DATABASE } from './stack-environment'

/** Starts the embedded cluster; when its postmaster dies it is started again, and `onPid` hears of each. */
export async function startEmbeddedDatabase(
  settings: Settings,
  secrets: Secrets,
  onPid: (pid: number, running: boolean) => void,
): Promise<EmbeddedPostgres> {
  const postgres = await startPostgres({
    directory: postgresDirectory(settings.data_dir),
    port: settings.database_port,
    superuser_password: secrets.superuser_password,
    log_file: logFile(settings.data_dir, 'postgres'),
  })
  onPid(postgres.pid(), true)
  let stopping = false
  postgres.onUnexpectedExit(async (how) => {
    onPid(postgres.pid(), false)
    note(`Postgres ended unexpectedly (${how}) and is started again.`)
    for (let pause = 500; !stopping; pause = Math.min(pause * 2, 30_000)) {
      try {
        await postgres.start()
        onPid(postgres.pid(), true)
        note('Postgres works again.')
        return
      } catch (error) {
        if (stopping) return
        note(`Postgres does not start (${error instanceof Error ? error.message : String(error)}); trying again.`)
        await sleep(pause, undefined, { ref: false })
      }
    }
  })
  return {
    ...postgres,
    stop: async () => {
      stopping = true
      await postgres.stop()
    },
  }
}

/** Roles, the two databases and their privileges; changes nothing that is right already. */
export async function prepareRoles(postgres: EmbeddedPostgres, secrets: Secrets): Promise<void> {
  await applyRoles(postgres.superuserUrl(), {
    owner: secrets.owner_password,
    server: secrets.server_password,
    operator: secrets.operator_password,
    auth: secrets.auth_password,
  })
  await ensureProductDatabase(postgres.superuserUrl, PRODUCT_DATABASE)
  await ensureAuthDatabase(postgres.superuserUrl, AUTH_DATABASE)
}

/** Pending migrations; says how many there were. */
export async function migrate(ownerUrl: string, say: (text: string) => void): Promise<void> {
  const applied = await applyMigrations(ownerUrl)
  say(applied.length === 0 ? 'Schema up to date' : `Migrations applied (${applied.length})`)
}
