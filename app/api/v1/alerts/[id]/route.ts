import { alertPatch } from '@/features/alerts/schema'
import { archiveAlert, getAlert, updateAlert } from '@/features/alerts/services/alert-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await getAlert(params.id ?? '')),
  { permission: 'alerts:read' },
)

export const PATCH = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.success(await updateAlert(params.id ?? '', await readJson(request, alertPatch))),
  { permission: 'alerts:write' },
)

export const DELETE = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await archiveAlert(params.id ?? '')),
  { permission: 'alerts:write' },
)
