import { withdrawRequest } from '@/features/upgrade-requests/services/upgrade-request-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const DELETE = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await withdrawRequest(params.id ?? '')),
  { permission: 'portal:write' },
)
