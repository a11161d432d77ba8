import { memberChange } from '@/features/members/schema'
import { changeMemberRole, removeMember } from '@/features/members/services/member-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const PATCH = withTenantAuth(
  async (request, { params, role }) => {
    const change = await readJson(request, memberChange)
    return ApiResponse.success(await changeMemberRole(params.id ?? '', change.role, role))
  },
  { permission: 'members:write' },
)

export const DELETE = withTenantAuth(
  async (_request, { params, role }) => {
    await removeMember(params.id ?? '', role)
    return ApiResponse.noContent()
  },
  // Everybody may leave; the service says who may remove others.
  { permission: 'members:read' },
)
