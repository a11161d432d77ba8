import { subscriptionInput } from '@/features/customers/schema'
import { getSubscription, setSubscription } from '@/features/customers/services/subscription-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await getSubscription(params.id ?? '')),
  { permission: 'customers:read' },
)

export const PUT = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.success(await setSubscription(params.id ?? '', await readJson(request, subscriptionInput))),
  { permission: 'customers:write' },
)
