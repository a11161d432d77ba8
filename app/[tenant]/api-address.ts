import 'server-only'
import { headers } from 'next/headers'
import { env } from '@/libs/env'

/** The scheme people reach us by: that of the proxy in front, else https anywhere but on localhost. */
async function scheme(host: string): Promise<string> {
  const forwarded = (await headers()).get('x-forwarded-proto')?.split(',')[0]?.trim()
  return forwarded ?? (/(^|\.)localhost(:\d+)?$/.test(host) ? 'http' : 'https')
}

/** A call of the API on this very host, absolute, for commands that people copy. */
export async function apiAddress(path: string): Promise<string> {
  const host = (await headers()).get('host') ?? `app.${env().ROOT_DOMAIN}`
  return `${await scheme(host)}://${host}/api/v1${path}`
}

/** Where usage is sent, absolute: the ingest process when it has an address of its own, else this very host. */
export async function trackUrl(): Promise<string> {
  const ingest = env().INGEST_URL
  return ingest ? `${ingest.replace(/\/$/, '')}/api/v1/usage/track` : apiAddress('/usage/track')
}

/** The address of a tenant's portal, below the root domain. */
export async function portalUrl(slug: string): Promise<string> {
  const root = env().ROOT_DOMAIN
  return `${await scheme(root)}://${slug}.${root}`
}
