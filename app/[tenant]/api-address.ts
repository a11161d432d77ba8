import 'server-only'
import { headers } from 'next/headers'
import { env } from '@/libs/env'

/**
 * A call of the API on this very host, absolute, for commands that people copy: by the scheme of the proxy in front, else https
 * anywhere but on localhost.
 */
export async function apiAddress(path: string): Promise<string> {
  const sent = await headers()
  const host = sent.get('host') ?? `app.${env().ROOT_DOMAIN}`
  const forwarded = sent.get('x-forwarded-proto')?.split(',')[0]?.trim()
  const scheme = forwarded ?? (/(^|\.)localhost(:\d+)?$/.test(host) ? 'http' : 'https')
  return `${scheme}://${host}/api/v1${path}`
}

/** Where usage is sent, absolute: the ingest process when it has an address of its own, else this very host. */
export async function trackUrl(): Promise<string> {
  const ingest = env().INGEST_URL
  return ingest ? `${ingest.replace(/\/$/, '')}/api/v1/usage/track` : apiAddress('/usage/track')
}
