import { getConnectorEvent } from '@/features/connector-events/services/connector-event-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await getConnectorEvent(params.id ?? '')),
  { permission: 'connector-events:read' },
)
