import { stripeMeterInput } from '@/features/stripe-exports/schema'
import { putStripeMeter, removeStripeMeter } from '@/features/stripe-exports/services/stripe-meter-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const PUT = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.success(
      await putStripeMeter(params.id ?? '', params.meter ?? '', await readJson(request, stripeMeterInput)),
    ),
  { permission: 'stripe-exports:write' },
)

export const DELETE = withTenantAuth(
  async (_request, { params }) => {
    await removeStripeMeter(params.id ?? '', params.meter ?? '')
    return ApiResponse.noContent()
  },
  { permission: 'stripe-exports:write' },
)
