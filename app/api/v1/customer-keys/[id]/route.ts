import { customerKeyPatch } from '@/features/customer-keys/schema'
import {
  getCustomerKey,
  revokeCustomerKey,
  updateCustomerKey,
} from '@/features/customer-keys/services/customer-key-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await getCustomerKey(params.id ?? '')),
  { permission: 'customer-keys:read' },
)

export const PATCH = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.success(await updateCustomerKey(params.id ?? '', await readJson(request, customerKeyPatch))),
  { permission: 'customer-keys:write' },
)

export const DELETE = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await revokeCustomerKey(params.id ?? '')),
  { permission: 'customer-keys:write' },
)
