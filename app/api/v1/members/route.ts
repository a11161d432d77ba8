import { memberListQuery } from '@/features/members/schema'
import { listMembers } from '@/features/members/services/member-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.page(await listMembers(readQuery(request, memberListQuery))),
  { permission: 'members:read' },
)
