import { onboardingChange } from '@/features/onboarding/schema'
import { changeOnboarding, getOnboardingStatus } from '@/features/onboarding/services/onboarding-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { tenant }) => ApiResponse.success(await getOnboardingStatus(tenant)),
  { permission: 'onboarding:read' },
)

export const PATCH = withTenantAuth(
  async (request, { tenant }) =>
    ApiResponse.success(await changeOnboarding(tenant, await readJson(request, onboardingChange))),
  { permission: 'onboarding:write' },
)
