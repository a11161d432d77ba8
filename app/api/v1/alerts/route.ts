import { alertInput, alertListQuery } from '@/features/alerts/schema'
import { createAlert, listAlerts } from '@/features/alerts/services/alert-service'
import { readJson, readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.page(await listAlerts(readQuery(request, alertListQuery))),
  { permission: 'alerts:read' },
)

export const POST = withTenantAuth(
  async (request) => ApiResponse.created(await createAlert(await readJson(request, alertInput))),
  { permission: 'alerts:write' },
)
