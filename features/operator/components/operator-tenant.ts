import type { z } from 'zod'
import type { operatorTenant, tenantStats } from '@/features/operator/schema'
import { t } from '@/libs/ui/messages'

export type OperatorTenant = z.infer<typeof operatorTenant>
export type TenantStats = z.infer<typeof tenantStats>

export const PLANS = ['free', 'basic', 'premium', 'enterprise', 'custom'] as const
export type Plan = (typeof PLANS)[number]
export const STATUSES = ['active', 'pending', 'past_due', 'read_only', 'suspended', 'deleted'] as const

/** The name of a plan; one that is not ours is shown as it is written. */
export function planName(id: string): string {
  const plan = PLANS.find((known) => known === id)
  return plan ? t(`operator.plan.${plan}`) : id
}
