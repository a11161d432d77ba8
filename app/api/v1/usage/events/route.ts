import { eventListQuery } from '@/features/usage-tracking/services/event-schema'
import { listEvents } from '@/features/usage-tracking/services/usage-event-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.page(await listEvents(readQuery(request, eventListQuery))),
  { permission: 'usage:read' },
)
