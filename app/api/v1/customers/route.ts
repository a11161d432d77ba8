import { customerInput, customerListQuery } from '@/features/customers/schema'
import { createCustomer, listCustomers } from '@/features/customers/services/customer-service'
import { readJson, readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.page(await listCustomers(readQuery(request, customerListQuery))),
  { permission: 'customers:read' },
)

export const POST = withTenantAuth(
  async (request) => ApiResponse.created(await createCustomer(await readJson(request, customerInput))),
  { permission: 'customers:write' },
)
