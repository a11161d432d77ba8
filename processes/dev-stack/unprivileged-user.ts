import { spawnSync } from 'node:child_process'
import { StackError } from './stack-error'

/** Numeric identity that a child process is started with. */
export type SystemUser = { name: string; uid: number; gid: number }

const OWN_USER = 'holdfast'

/**
 * The user that Postgres has to run as, or null when the present one will do. Postgres refuses to run as root,
 * so root lends it an account of its own (made on first use), else `nobody`.
 */
export function findUnprivilegedUser(): SystemUser | null {
  if (process.getuid?.() !== 0) return null
  const own = lookUpUser(OWN_USER) ?? createUser(OWN_USER) ?? lookUpUser('nobody')
  if (own) return own
  throw new StackError(
    'Postgres refuses to run as root, and no unprivileged user could be made for it.',
    `Create one (useradd --system ${OWN_USER}) or run the command as a normal user.`,
  )
}

/** Whether `user` may enter the directory, tried for real because access lists and mounts have a say too. */
export function canEnterDirectory(user: SystemUser, directory: string): boolean {
  const probe = spawnSync('/bin/sh', ['-c', 'cd -- "$1"', 'sh', directory], {
    uid: user.uid,
    gid: user.gid,
    cwd: '/',
    stdio: 'ignore',
  })
  return probe.status === 0
}

function lookUpUser(name: string): SystemUser | null {
  const uid = spawnSync('id', ['-u', name], { encoding: 'utf8' })
  const gid = spawnSync('id', ['-g', name], { encoding: 'utf8' })
  if (uid.status !== 0 || gid.status !== 0) return null
  return { name, uid: Number(uid.stdout), gid: Number(gid.stdout) }
}

function createUser(name: string): SystemUser | null {
  const made = spawnSync(
    'useradd',
    ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', name],
    {
      stdio: 'ignore',
    },
  )
  return made.status === 0 ? lookUpUser(name) : null
}
