import { answerUsageQuery } from '@/app/api/v1/usage/query/answer-query'
import { withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(async (request) => answerUsageQuery(request, null), { permission: 'usage:read' })
