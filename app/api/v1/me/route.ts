import { getStanding } from '@/features/tenants/services/own-tenant-service'
import { ApiResponse } from '@/libs/api-utils/api-response'
import { withUserAuth } from '@/libs/api-utils/user-api-wrapper'

export const GET = withUserAuth(async (_request, { user }) =>
  ApiResponse.success({ user, ...(await getStanding(user.id)) }),
)
