import { customerPatch } from '@/features/customers/schema'
import { getCustomer, updateCustomer } from '@/features/customers/services/customer-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await getCustomer(params.id ?? '')),
  { permission: 'customers:read' },
)

export const PATCH = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.success(await updateCustomer(params.id ?? '', await readJson(request, customerPatch))),
  { permission: 'customers:write' },
)

export const DELETE = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await updateCustomer(params.id ?? '', { archived: true })),
  { permission: 'customers:write' },
)
