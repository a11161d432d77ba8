import { archiveFeature, getFeature } from '@/features/features/services/feature-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await getFeature(params.id ?? '')),
  { permission: 'tiers:read' },
)

export const DELETE = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await archiveFeature(params.id ?? '')),
  { permission: 'tiers:write' },
)
