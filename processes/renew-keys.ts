// Brings the keys of all tenants under the first of ENCRYPTION_KEYS now, instead of with the worker's next round, and says whether the
// other master keys are still needed. Ends with 1 while they are.
import { renewTenantKeys } from '@/libs/crypto/renew-keys'
import { firstMasterId } from '@/libs/crypto/secret-box'
import { stopNotifications } from '@/libs/db/notifications'
import { closePools } from '@/libs/db/pools'

if (firstMasterId() === null) {
  process.stderr.write('There are no ENCRYPTION_KEYS.\n')
  process.exit(1)
}
const { renewed, left } = await renewTenantKeys()
process.stdout.write(
  left === 0
    ? `${renewed} renewed. All are under ${firstMasterId()}; other keys of ENCRYPTION_KEYS may go.\n`
    : `${renewed} renewed, ${left} left that need another master key. Keep the others; see the log for why.\n`,
)
await stopNotifications()
await closePools()
process.exitCode = left === 0 ? 0 : 1
