import { env } from '@/libs/env'

/**
 * How people reach a host directly below the root domain: `publicOrigin('app')` → `https://app.example.com`. From the environment
 * and never from a request, so that nobody can put an address of their own into a mail; https anywhere but on localhost.
 */
export function publicOrigin(label: string): string {
  const { ROOT_DOMAIN } = env()
  return `${/(?:^|\.)localhost(?::\d+)?$/i.test(ROOT_DOMAIN) ? 'http' : 'https'}://${label}.${ROOT_DOMAIN}`
}
