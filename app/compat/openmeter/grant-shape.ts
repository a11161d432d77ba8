import { keepRecord, readRecords } from '@/features/compatibility/services/compat-record-service'
import type { ListedGrant } from '@/features/entitlements/services/grant-page-service'
import type { Grant } from '@/features/entitlements/services/grant-service'
import { numberOf } from './entitlement-shape'
import { toRecurringPeriod } from './periods'

const HOUR_MS = 3_600_000

/** How a grant's end was said, which here is a moment; and what else it came with. */
export type SentGrant = { expiration?: unknown; annotations?: unknown }

/** Keeps what of a grant has no field here. */
export async function keepGrant({ id }: { id: string }, kept: SentGrant): Promise<void> {
  if (Object.keys(kept).length > 0) await keepRecord('grant', id, kept)
}

/** What was kept of grants, by their ids. */
export async function readSentGrants(grants: readonly { id: string }[]): Promise<Map<string, SentGrant>> {
  return readRecords(
    'grant',
    grants.map(({ id }) => id),
  )
}

type Shown = Pick<
  Grant & ListedGrant,
  | 'id'
  | 'amount'
  | 'priority'
  | 'effective_at'
  | 'expires_at'
  | 'recurrence'
  | 'rollover'
  | 'next_issue_at'
  | 'metadata'
  | 'created_at'
  | 'voided_at'
>

/** A grant as the wire has it. */
export function toOpenMeterGrant(grant: Shown, entitlementId: string, sent: SentGrant | undefined) {
  const { recurrence, effective_at, expires_at } = grant
  return {
    id: grant.id,
    entitlementId,
    amount: numberOf(grant.amount),
    priority: grant.priority,
    effectiveAt: effective_at,
    minRolloverAmount: numberOf(grant.rollover.min),
    maxRolloverAmount: numberOf(grant.rollover.max),
    metadata: grant.metadata ?? {},
    ...(sent?.annotations ? { annotations: sent.annotations } : {}),
    ...(recurrence ? { recurrence: toRecurringPeriod(recurrence, effective_at) } : {}),
    ...(expires_at
      ? {
          expiration: sent?.expiration ?? {
            duration: 'HOUR',
            count: Math.max(1, Math.round((expires_at.getTime() - effective_at.getTime()) / HOUR_MS)),
          },
          expiresAt: expires_at,
        }
      : {}),
    ...(recurrence && grant.next_issue_at ? { nextRecurrence: grant.next_issue_at } : {}),
    ...(grant.voided_at ? { voidedAt: grant.voided_at, deletedAt: grant.voided_at } : {}),
    createdAt: grant.created_at,
    updatedAt: grant.voided_at ?? grant.created_at,
  }
}
