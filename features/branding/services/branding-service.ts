import { registryDb } from '@/libs/db/tenant-db'
import { notFound } from '@/libs/errors'
import type { BrandingInput } from '../schema'

const COLUMNS = ['display_name', 'primary_color', 'accent_color', 'support_url', 'updated_at'] as const

export type BrandingRow = {
  display_name: string | null
  primary_color: string
  accent_color: string
  support_url: string | null
  updated_at: Date
}

/** How the tenant's portal looks. */
export async function getBranding(): Promise<BrandingRow> {
  const row = await registryDb().selectFrom('brandings').select(COLUMNS).executeTakeFirst()
  if (!row) throw notFound()
  return row
}

/** Changes the named fields; the portal shows them from the next page on. */
export async function updateBranding(input: BrandingInput): Promise<BrandingRow> {
  const row = await registryDb()
    .updateTable('brandings')
    .set({ ...input, updated_at: new Date() })
    .returning(COLUMNS)
    .executeTakeFirst()
  if (!row) throw notFound()
  return row
}
