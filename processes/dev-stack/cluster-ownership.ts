import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { StackError } from './stack-error'
import type { SystemUser } from './unprivileged-user'

/**
 * Makes the directory of a cluster, private to the account that Postgres runs under. A cluster made by another account
 * (started once as root, once as a plain user) changes hands where we may do that, and is refused with a way out where not.
 */
export function prepareClusterDirectory(directory: string, user: SystemUser | null): void {
  mkdirSync(directory, { recursive: true })
  const data = join(directory, 'data')
  const owner = existsSync(data) ? statSync(data).uid : undefined
  if (user) {
    chownSync(directory, user.uid, user.gid)
    if (owner !== undefined && owner !== user.uid) spawnSync('chown', ['-R', `${user.uid}:${user.gid}`, data])
  } else if (owner !== undefined && process.getuid && owner !== process.getuid()) {
    throw foreignCluster(directory)
  }
  try {
    chmodSync(directory, 0o700)
  } catch {
    throw foreignCluster(directory)
  }
}

function foreignCluster(directory: string): StackError {
  return new StackError(
    `The database in ${directory} belongs to another user (was Holdfast once started as root?).`,
    'Start it as that user again, or start afresh beside it: DATA_DIR=.data-mine npm start',
  )
}
