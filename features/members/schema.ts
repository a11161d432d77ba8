import { z } from 'zod'
import { pageQuery } from '@/libs/api-utils/page'

const memberRole = z.enum(['owner', 'admin', 'member', 'compliance'])

export const memberListQuery = pageQuery.extend({
  q: z.string().trim().max(120).optional().meta({ description: 'In the name or the e-mail address' }),
  role: memberRole.optional().meta({ description: 'Who has this role' }),
})

export const memberChange = z.strictObject({ role: memberRole })

export const member = z
  .object({
    id: z.uuid(),
    user_id: z.uuid(),
    email: z.string(),
    name: z.string(),
    role: memberRole,
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'Member' })

export type MemberListQuery = z.infer<typeof memberListQuery>
