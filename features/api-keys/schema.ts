import { z } from 'zod'
import { whenFieldsAreRight } from '@/libs/api-utils/cross-field'
import { zonedMoment } from '@/libs/api-utils/moment'
import { pageQuery } from '@/libs/api-utils/page'
import { nameInput } from '@/libs/api-utils/text-input'
import { KEY_PERMISSIONS } from '@/libs/auth/permissions'

const [firstPermission, ...otherPermissions] = KEY_PERMISSIONS
if (!firstPermission) throw new Error('An API key needs a permission to be given.')

const keyPermission = z.enum([firstPermission, ...otherPermissions])

const LONGEST_DAYS = 3_650

function isWithinReach(moment: string): boolean {
  const days = (Date.parse(moment) - Date.now()) / 86_400_000
  return days > 0 && days <= LONGEST_DAYS
}

export const apiKeyInput = z
  .strictObject({
    name: nameInput(120).meta({ description: 'What the key is for', example: 'Production server' }),
    permissions: z
      .array(keyPermission)
      .min(1)
      .max(KEY_PERMISSIONS.length)
      .transform((list) => [...new Set(list)])
      .default(['usage:read', 'usage:write'])
      .meta({
        description:
          'What the key may do; never more than its creator may at the time of use. Writing does not bring reading along',
      }),
    mode: z.enum(['live', 'test']).default('live').meta({
      description: 'How the key begins, `hf_live_` or `hf_test_`; both reach the same data, and usage of both counts',
    }),
    expires_in_days: z
      .number()
      .int()
      .min(1)
      .max(LONGEST_DAYS)
      .nullable()
      .default(null)
      .meta({ description: 'null: no expiry' }),
    expires_at: zonedMoment
      .refine(isWithinReach, `must lie ahead, by at most ${LONGEST_DAYS} days`)
      .nullable()
      .default(null)
      .meta({ description: 'The same as a moment' }),
  })
  .refine(({ expires_in_days, expires_at }) => expires_in_days === null || expires_at === null, {
    path: ['expires_at'],
    error: 'is said by expires_in_days already',
    ...whenFieldsAreRight,
  })
  .meta({ id: 'ApiKeyInput' })

export const apiKey = z
  .object({
    id: z.uuid(),
    name: z.string(),
    prefix: z.string().meta({ example: 'hf_live_3fQ8' }),
    last_four: z.string(),
    permissions: z.array(z.string()),
    created_by: z.uuid(),
    created_at: z.iso.datetime(),
    expires_at: z.iso.datetime().nullable(),
    last_used_at: z.iso.datetime().nullable().meta({ description: 'Written at most once a minute' }),
    revoked_at: z.iso.datetime().nullable(),
    disabled_at: z.iso.datetime().nullable().meta({ description: 'Since when it is refused; null: it is not' }),
  })
  .meta({ id: 'ApiKey' })

export const newApiKey = apiKey
  .extend({ key: z.string().meta({ description: 'The key itself: shown now and never again' }) })
  .meta({ id: 'NewApiKey' })

/** What a rotated key may still live, in seconds. */
export const GRACES = { '0': 0, '1m': 60, '15m': 900, '1h': 3_600, '6h': 21_600, '24h': 86_400 } as const

export const apiKeyRotation = z
  .strictObject({
    grace: z
      .enum(['0', '1m', '15m', '1h', '6h', '24h'])
      .default('0')
      .meta({ description: 'How long the old key still works; never past its own expiry' }),
  })
  .meta({ id: 'ApiKeyRotation' })

export const apiKeyListQuery = pageQuery.extend({
  status: z.enum(['active', 'disabled', 'expired', 'revoked']).optional().meta({ description: 'All when left out' }),
  q: z.string().trim().max(120).optional().meta({ description: 'In the name' }),
})

export type ApiKeyInput = z.infer<typeof apiKeyInput>
export type ApiKeyListQuery = z.infer<typeof apiKeyListQuery>
export type Grace = keyof typeof GRACES
