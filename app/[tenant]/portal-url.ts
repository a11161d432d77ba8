import 'server-only'
import { headers } from 'next/headers'
import { env } from '@/libs/env'

/** The address of a tenant's portal, below the root domain. */
export async function portalUrl(slug: string): Promise<string> {
  const root = env().ROOT_DOMAIN
  const local = /(^|\.)localhost(:\d+)?$/.test(root)
  const scheme = (await headers()).get('x-forwarded-proto')?.split(',')[0]?.trim() ?? (local ? 'http' : 'https')
  return `${scheme}://${slug}.${root}`
}
