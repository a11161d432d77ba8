import { z } from 'zod'
import { whenFieldsAreRight } from '@/libs/api-utils/cross-field'
import { nameInput } from '@/libs/api-utils/text-input'

const color = z
  .string()
  .trim()
  .toLowerCase()
  .regex(/^#[0-9a-f]{6}$/, 'must be a colour written as #rrggbb')

export const brandingInput = z
  .strictObject({
    display_name: nameInput(120).nullable().optional().meta({ description: 'null: the tenant’s own name' }),
    primary_color: color.optional().meta({ example: '#2f5bea' }),
    accent_color: color.optional(),
    support_url: z
      .string()
      .trim()
      .max(500)
      .regex(/^(?:https:\/\/[^\s/]+\S*|mailto:[^\s@]+@[^\s@]+)$/, 'must be an https:// address or mailto:')
      .nullable()
      .optional(),
  })
  .refine((input) => Object.keys(input).length > 0, { error: 'name at least one field', ...whenFieldsAreRight })
  .meta({ id: 'BrandingInput' })

export const branding = z
  .object({
    display_name: z.string().nullable(),
    primary_color: z.string(),
    accent_color: z.string(),
    support_url: z.string().nullable(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'Branding' })

export type BrandingInput = z.infer<typeof brandingInput>
