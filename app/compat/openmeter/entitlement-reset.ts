import { z } from 'zod'
import { resetBalance } from '@/features/entitlements/services/reset-service'
import { zonedMoment } from '@/libs/api-utils/moment'
import { ApiResponse } from '@/libs/api-utils/tenant-api-wrapper'
import { invalidInput } from '@/libs/errors'
import { usageBetween } from './balance-timeline'
import { inBothVersions, ofEntitlement } from './entitlement-access'
import { periodStart, type Version } from './entitlement-shape'
import { readExact } from './openmeter-route'
import { DAY_MS } from './periods'

const MINUTE_MS = 60_000

/** Forgets what a customer used of a meter before a moment of the present period. */
export async function resetUsage(
  customerId: string,
  meter: { id: string },
  { since, preserveOverage }: { since: Date; preserveOverage: boolean },
): Promise<void> {
  // The present minute is now: what was used before the call is what is to be forgotten.
  const isNow = since.getTime() > Date.now() - MINUTE_MS
  const tomorrow = new Date(Date.now() + DAY_MS)
  const used = isNow ? 0 : await usageBetween({ customerId, meterId: meter.id }, since, tomorrow)
  await resetBalance(customerId, meter.id, { preserve_overage: preserveOverage, used_since: String(used) })
}

const resetBody = z.strictObject({
  effectiveAt: zonedMoment.optional(),
  retainAnchor: z.boolean().optional(),
  preserveOverage: z.boolean().optional(),
})

const reset = (version: Version) =>
  ofEntitlement('customers:write', version, async (request, { entitlement, known }) => {
    const { effectiveAt, preserveOverage } = await readExact(request, resetBody)
    if (!entitlement.meter) throw invalidInput('/entitlement', 'is not metered, so there is nothing to reset')
    const since = effectiveAt === undefined ? new Date() : new Date(effectiveAt)
    if (since.getTime() > Date.now() + MINUTE_MS) throw invalidInput('/effectiveAt', 'must not lie in the future')
    const start = periodStart(entitlement, known.timeZone)
    if (start && since < start) throw invalidInput('/effectiveAt', 'must lie within the present usage period')
    await resetUsage(known.customer.id, entitlement.meter, {
      since,
      preserveOverage: preserveOverage ?? entitlement.preserve_overage ?? false,
    })
    return ApiResponse.noContent()
  })

export const RESET_PATHS = inBothVersions('POST', '/{entitlement}/reset', reset)
