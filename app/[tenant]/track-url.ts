import 'server-only'
import { headers } from 'next/headers'
import { env } from '@/libs/env'

/** Where usage is sent, absolute: the ingest process when it has an address of its own, else this very host. */
export async function trackUrl(): Promise<string> {
  const ingest = env().INGEST_URL
  if (ingest) return `${ingest.replace(/\/$/, '')}/api/v1/usage/track`
  const list = await headers()
  const host = list.get('host') ?? `app.${env().ROOT_DOMAIN}`
  const local = /(^|\.)localhost(:\d+)?$/.test(host)
  const scheme = list.get('x-forwarded-proto')?.split(',')[0]?.trim() ?? (local ? 'http' : 'https')
  return `${scheme}://${host}/api/v1/usage/track`
}
