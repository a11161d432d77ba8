// npm run db:types: the TypeScript types of the schema (libs/db/generated/database.ts), made from the migrations as they are
// in the checkout, on a Postgres that lives as long as this command.
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startGuard } from './dev-stack/guard'
import { applyMigrations } from './dev-stack/migrations'
import { findFreePort } from './dev-stack/ports'
import { connectionUrl, startPostgres } from './dev-stack/postgres'
import { explain } from './dev-stack/progress'
import { inRepository } from './dev-stack/repository'
import { applyRoles, ensureProductDatabase } from './dev-stack/roles'

const OUTPUT = inRepository('libs', 'db', 'generated', 'database.ts')

async function generateTypes(): Promise<void> {
  const guard = startGuard()
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-types-'))
  guard.watchDirectory(directory)
  chmodSync(directory, 0o711)
  const password = 'only-for-this-command'
  const port = await findFreePort()
  const postgres = await startPostgres({
    directory: join(directory, 'postgres'),
    port,
    superuser_password: password,
    log_file: join(directory, 'postgres.log'),
    onSpawn: (pid) => guard.watchProcess(pid, 'SIGQUIT'),
  })
  try {
    await applyRoles(postgres.superuserUrl(), { owner: password, server: password, operator: password, auth: password })
    await ensureProductDatabase(postgres.superuserUrl, 'holdfast')
    const ownerUrl = connectionUrl('holdfast_owner', password, port, 'holdfast')
    await applyMigrations(ownerUrl)
    mkdirSync(join(OUTPUT, '..'), { recursive: true })
    const { status } = spawnSync(
      process.execPath,
      [
        inRepository('node_modules', 'kysely-codegen', 'dist', 'cli', 'bin.js'),
        `--url=${ownerUrl}`,
        '--dialect=postgres',
        '--default-schema=public',
        '--include-pattern=public.*',
        '--numeric-parser=string',
        '--type-mapping={"int8":"number"}',
        `--out-file=${OUTPUT}`,
      ],
      { cwd: inRepository(), stdio: 'inherit' },
    )
    if (status !== 0) throw new Error('kysely-codegen failed')
  } finally {
    await postgres.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

try {
  await generateTypes()
  process.exit(0)
} catch (error) {
  explain(error)
  process.exit(1)
}
