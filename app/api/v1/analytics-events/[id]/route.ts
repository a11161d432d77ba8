import { getAnalyticsEvent } from '@/features/analytics-events/services/analytics-event-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await getAnalyticsEvent(params.id ?? '')),
  { permission: 'analytics-events:read' },
)
