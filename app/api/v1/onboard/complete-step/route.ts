import { completeStepInput } from '@/features/onboarding/schema'
import { completeStep } from '@/features/onboarding/services/onboarding-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(
  async (request, { tenant }) =>
    ApiResponse.success(await completeStep(tenant, await readJson(request, completeStepInput))),
  { permission: 'onboarding:write' },
)
