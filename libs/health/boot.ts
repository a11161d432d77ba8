import { mapDatabaseError } from '@/libs/db/errors'
import { requireSafePostgres } from '@/libs/db/server-version'
import { env } from '@/libs/env'
import { describeError } from '@/libs/errors'
import { log } from '@/libs/log'

/**
 * What must be right before a process serves: the environment and the version of Postgres. A database that cannot be
 * reached yet is no reason to give up; /readyz tells when it is there.
 */
export async function checkAtBoot(): Promise<void> {
  env()
  try {
    await requireSafePostgres()
  } catch (error) {
    if (!mapDatabaseError(error)) {
      log.fatal({ error: describeError(error) }, 'not starting')
      process.exit(1)
    }
    log.warn({ error: describeError(error) }, 'database not reachable at start')
  }
}
