import { startOnboarding } from '@/features/onboarding/services/onboarding-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(async (_request, { tenant }) => ApiResponse.success(await startOnboarding(tenant)), {
  permission: 'onboarding:write',
})
