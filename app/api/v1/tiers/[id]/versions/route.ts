import { listTierVersions } from '@/features/tiers/services/tier-version-service'
import { pageQuery } from '@/libs/api-utils/page'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.page(await listTierVersions(params.id ?? '', readQuery(request, pageQuery))),
  { permission: 'tiers:read' },
)
