import { connectorEventListQuery } from '@/features/connector-events/schema'
import { listConnectorEvents } from '@/features/connector-events/services/connector-event-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.page(await listConnectorEvents(readQuery(request, connectorEventListQuery))),
  { permission: 'connector-events:read' },
)
