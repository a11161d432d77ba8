import { billingExportQuery } from '@/features/billing-periods/schema'
import { exportUsageCut } from '@/features/billing-periods/services/billing-export-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request, { tenant }) =>
    ApiResponse.file(await exportUsageCut(readQuery(request, billingExportQuery), tenant.slug, request)),
  { permission: 'billing-periods:read', transaction: 'none' },
)
