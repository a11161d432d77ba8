import { brandingInput } from '@/features/branding/schema'
import { getBranding, updateBranding } from '@/features/branding/services/branding-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(async () => ApiResponse.success(await getBranding()), { permission: 'branding:read' })

export const PUT = withTenantAuth(
  async (request) => ApiResponse.success(await updateBranding(await readJson(request, brandingInput))),
  {
    permission: 'branding:write',
  },
)
