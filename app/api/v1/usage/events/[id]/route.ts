import { getEventDetail } from '@/features/usage-tracking/services/usage-event-detail-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await getEventDetail(params.id ?? '')),
  { permission: 'usage:read' },
)
