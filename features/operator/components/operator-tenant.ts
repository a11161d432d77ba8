import type { z } from 'zod'
import type { operatorTenant, tenantStats } from '@/features/operator/schema'

export type OperatorTenant = z.infer<typeof operatorTenant>
export type TenantStats = z.infer<typeof tenantStats>

export const PLANS = ['free', 'basic', 'premium', 'enterprise', 'custom'] as const
export type Plan = (typeof PLANS)[number]
export const STATUSES = ['active', 'pending', 'past_due', 'read_only', 'suspended', 'deleted'] as const
