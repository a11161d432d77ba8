import { analyticsEventListQuery, analyticsEventMany, analyticsEventOne } from '@/features/analytics-events/schema'
import {
  createAnalyticsEvents,
  listAnalyticsEvents,
} from '@/features/analytics-events/services/analytics-event-service'
import { parseInput, parseJson, readBody, readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.page(await listAnalyticsEvents(readQuery(request, analyticsEventListQuery))),
  { permission: 'analytics-events:read' },
)

export const POST = withTenantAuth(
  async (request) => {
    const value = parseJson(await readBody(request))
    const input = Array.isArray(value) ? parseInput(analyticsEventMany, value) : parseInput(analyticsEventOne, value)
    return ApiResponse.created(await createAnalyticsEvents(input))
  },
  { permission: 'analytics-events:write' },
)
