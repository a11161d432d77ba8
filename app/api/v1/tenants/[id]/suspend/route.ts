import { suspendInput } from '@/features/operator/schema'
import { suspendTenant } from '@/features/operator/services/tenant-lifecycle-service'
import { ApiResponse } from '@/libs/api-utils/api-response'
import { withOperatorAuth } from '@/libs/api-utils/operator-api-wrapper'
import { readJson } from '@/libs/api-utils/read-json'

export const POST = withOperatorAuth(async (request, { params }) => {
  const { reason } = await readJson(request, suspendInput, { optional: true })
  return ApiResponse.success(await suspendTenant(params.id ?? '', reason))
})
