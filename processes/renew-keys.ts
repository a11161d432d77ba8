// Brings the keys of all tenants under the first of ENCRYPTION_KEYS now, instead of with the worker's next round, and says whether the
// other master keys are still needed. Ends with 1 while they are.
import { renewTenantKeys } from '@/libs/crypto/renew-keys'
import { firstMasterId } from '@/libs/crypto/secret-box'
import { stopNotifications } from '@/libs/db/notifications'
import { closePools } from '@/libs/db/pools'
import { forgetEnv } from '@/libs/env'
import { explain } from './dev-stack/progress'
import { loadEnvFile } from './dev-stack/settings'
import { StackError } from './dev-stack/stack-error'

async function renew(): Promise<number> {
  loadEnvFile()
  forgetEnv() // the log has read it already, without .env
  if (!process.env.DATABASE_URL || firstMasterId() === null)
    throw new StackError(
      'DATABASE_URL and ENCRYPTION_KEYS have to be set, to what web and worker have.',
      'Set them in the shell or in .env; those of an embedded database are in docs/operations.md, at the secrets of tenants.',
    )
  const { renewed, left } = await renewTenantKeys()
  process.stdout.write(
    left === 0
      ? `${renewed} renewed. All are under ${firstMasterId()}; other keys of ENCRYPTION_KEYS may go.\n`
      : `${renewed} renewed, ${left} left that need another master key. Keep the others; see the log for why.\n`,
  )
  return left === 0 ? 0 : 1
}

try {
  process.exitCode = await renew()
} catch (error) {
  explain(error)
  process.exitCode = 1
}
await stopNotifications()
await closePools()
