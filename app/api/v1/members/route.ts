import { memberListQuery } from '@/features/members/schema'
import { listMembers } from '@/features/members/services/member-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => {
    const { data, next_cursor } = await listMembers(readQuery(request, memberListQuery))
    return ApiResponse.page(data, next_cursor)
  },
  { permission: 'members:read' },
)
