import { usageSettingsInput } from '@/features/usage-tracking/schema'
import { getUsageSettings, updateUsageSettings } from '@/features/usage-tracking/services/usage-settings-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(async () => ApiResponse.success(await getUsageSettings()), {
  permission: 'usage:read',
})

export const PATCH = withTenantAuth(
  async (request) => ApiResponse.success(await updateUsageSettings(await readJson(request, usageSettingsInput))),
  { permission: 'meters:write' },
)
