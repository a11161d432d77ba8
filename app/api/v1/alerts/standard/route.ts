import { createStandardAlerts } from '@/features/alerts/services/alert-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(async () => ApiResponse.created({ created: await createStandardAlerts() }), {
  permission: 'alerts:write',
})
