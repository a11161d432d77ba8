import { getTenantStats } from '@/features/operator/services/tenant-stats-service'
import { ApiResponse } from '@/libs/api-utils/api-response'
import { withOperatorAuth } from '@/libs/api-utils/operator-api-wrapper'

export const GET = withOperatorAuth(async () => ApiResponse.success(await getTenantStats()))
