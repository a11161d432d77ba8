import { stripeExportPatch } from '@/features/stripe-exports/schema'
import {
  disconnectStripe,
  getStripeExport,
  updateStripeExport,
} from '@/features/stripe-exports/services/stripe-export-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await getStripeExport(params.id ?? '')),
  { permission: 'stripe-exports:read' },
)

export const PATCH = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.success(await updateStripeExport(params.id ?? '', await readJson(request, stripeExportPatch))),
  { permission: 'stripe-exports:write' },
)

export const DELETE = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await disconnectStripe(params.id ?? '')),
  { permission: 'stripe-exports:write' },
)
