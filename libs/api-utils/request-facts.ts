import { isIP } from 'node:net'
import { env } from '@/libs/env'
import { newId } from '@/libs/ids'
import type { Actor } from '@/libs/tenancy/tenant-context'

/** What is known of a request besides its content. */
export type RequestFacts = { requestId: string; ip: string | null; userAgent: string | null }

// The one before is often the same caller.
let lastChain: string | undefined
let lastHops = 0
let lastIp: string | null = null

const REQUEST_ID = /^[\w.-]{8,64}$/

/**
 * Address of the caller: with TRUSTED_PROXY_HOPS = n the n-th address from the right of X-Forwarded-For; without proxies
 * the one the server itself noted. Null when it is not an address.
 */
function readIp(headers: Headers): string | null {
  const chain = headers.get('x-forwarded-for')
  if (chain === null) return null
  const hops = Math.max(1, env().TRUSTED_PROXY_HOPS)
  if (chain === lastChain && hops === lastHops) return lastIp
  const address =
    chain
      .split(',')
      .at(-hops)
      ?.trim()
      .replace(/^::ffff:(?=\d+\.)/i, '') ?? ''
  lastChain = chain
  lastHops = hops
  lastIp = isIP(address) > 0 && !address.includes('%') ? address : null
  return lastIp
}

/** Reads the facts of a request; a usable X-Request-Id is kept, else one is made. */
export function readFacts({ headers }: { headers: Headers }): RequestFacts {
  const given = headers.get('x-request-id')
  return {
    requestId: given && REQUEST_ID.test(given) ? given : newId(),
    ip: readIp(headers),
    userAgent: headers.get('user-agent')?.slice(0, 512) ?? null,
  }
}

/** What the audit log keeps of a request beside who acts. */
export function traceOf({ requestId, ip, userAgent }: RequestFacts): Pick<Actor, 'request_id' | 'ip' | 'user_agent'> {
  return { request_id: requestId, ...(ip ? { ip } : {}), ...(userAgent ? { user_agent: userAgent } : {}) }
}
