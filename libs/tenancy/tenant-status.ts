export const TENANT_STATUSES = ['pending', 'active', 'past_due', 'read_only', 'suspended', 'deleted'] as const
export type TenantStatus = (typeof TENANT_STATUSES)[number]
