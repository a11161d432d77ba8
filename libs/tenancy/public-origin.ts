import { env } from '@/libs/env'

/** The scheme that people reach this installation by: https anywhere but on localhost. */
export function rootScheme(): 'http' | 'https' {
  return /(?:^|\.)localhost(?::\d+)?$/i.test(env().ROOT_DOMAIN) ? 'http' : 'https'
}

/**
 * How people reach a host directly below the root domain: `publicOrigin('app')` → `https://app.example.com`. From the environment
 * and never from a request, so that nobody can put an address of their own into a mail.
 */
export function publicOrigin(label: string): string {
  return `${rootScheme()}://${label}.${env().ROOT_DOMAIN}`
}
