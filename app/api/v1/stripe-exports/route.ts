import { stripeExportInput } from '@/features/stripe-exports/schema'
import { connectStripe, listStripeExports } from '@/features/stripe-exports/services/stripe-export-service'
import { pageQuery } from '@/libs/api-utils/page'
import { readJson, readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.page(await listStripeExports(readQuery(request, pageQuery))),
  { permission: 'stripe-exports:read' },
)

export const POST = withTenantAuth(
  async (request) => ApiResponse.created(await connectStripe(await readJson(request, stripeExportInput))),
  { permission: 'stripe-exports:write' },
)
