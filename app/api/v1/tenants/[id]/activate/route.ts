import { activateTenant } from '@/features/operator/services/tenant-lifecycle-service'
import { ApiResponse } from '@/libs/api-utils/api-response'
import { withOperatorAuth } from '@/libs/api-utils/operator-api-wrapper'

export const POST = withOperatorAuth(async (_request, { params }) =>
  ApiResponse.success(await activateTenant(params.id ?? '')),
)
