import { tierPatch } from '@/features/tiers/schema'
import { previewTier } from '@/features/tiers/services/tier-preview-service'
import { pageQuery } from '@/libs/api-utils/page'
import { readJson, readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.success(
      await previewTier(params.id ?? '', await readJson(request, tierPatch), readQuery(request, pageQuery)),
    ),
  { permission: 'tiers:write' },
)
