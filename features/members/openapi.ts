import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import { member, memberChange, memberListQuery } from './schema'

const tag = 'Members'
const params = z.object({ id: z.uuid().meta({ description: 'Id of the membership' }) })

export const paths = {
  '/api/v1/members': {
    get: operation({
      summary: 'List the people of the tenant',
      tag,
      permission: 'members:read',
      query: memberListQuery,
      success: [200, pageOf(member)],
    }),
  },
  '/api/v1/members/{id}': {
    patch: operation({
      summary: 'Give a member another role',
      tag,
      description: 'Nobody grants above their own role, and the last owner stays one.',
      permission: 'members:write',
      params,
      body: memberChange,
      example: { role: 'admin' },
      success: [200, member],
    }),
    delete: operation({
      summary: 'Remove a member, or leave',
      tag,
      description: 'Everybody may leave but the last owner; removing others needs the permission `members:write`.',
      permission: 'members:read',
      params,
      success: [204, null],
    }),
  },
}
