import { firingListQuery } from '@/features/alerts/schema'
import { listFirings } from '@/features/alerts/services/alert-firing-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.page(await listFirings(readQuery(request, firingListQuery))),
  { permission: 'alerts:read' },
)
