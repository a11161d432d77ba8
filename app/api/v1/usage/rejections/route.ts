import { rejectionListQuery } from '@/features/usage-tracking/services/event-schema'
import { listRejections } from '@/features/usage-tracking/services/usage-rejection-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.page(await listRejections(readQuery(request, rejectionListQuery))),
  { permission: 'usage:read' },
)
