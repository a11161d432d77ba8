import { serverQuery } from '@/libs/db/server-query'
import { AppError } from '@/libs/errors'

const QUARTER_HOUR_S = 900
const HOUR_S = 3_600

/**
 * Brute force is limited twice: by account, however many addresses try it, and by address, however many accounts it
 * tries. A sign-in that succeeds gives its tries back. Counted in the database: one limit for all processes together.
 */
const LIMITS = {
  sign_in_account: { most: 10, seconds: QUARTER_HOUR_S },
  sign_in_address: { most: 100, seconds: QUARTER_HOUR_S },
  sign_up_address: { most: 200, seconds: HOUR_S },
  mail_account: { most: 5, seconds: HOUR_S },
  mail_address: { most: 100, seconds: HOUR_S },
  reset_address: { most: 100, seconds: HOUR_S },
} as const

export type AuthLimit = keyof typeof LIMITS

/**
 * What attempts of an address are counted under: itself, or the network of 64 bits that it is in, which is the least anybody on
 * the Internet has of IPv6, with more addresses than can be counted.
 */
export function limitedAddress(ip: string | null): string {
  if (!ip?.includes(':')) return ip ?? 'unknown'
  const [head = '', tail = ''] = new URL(`http://[${ip}]`).hostname.slice(1, -1).split('::')
  const [first, last] = [head, tail].map((part) => part.split(':').filter(Boolean)) as [string[], string[]]
  const between = Array.from({ length: 8 - first.length - last.length }, () => '0')
  return `${[...first, ...between, ...last].slice(0, 4).join(':')}::/64`
}

/** Counts one attempt before it is made, so that attempts at the same moment cannot slip by. @throws AppError rate_limited. */
export async function countAttempt(limit: AuthLimit, key: string): Promise<void> {
  const { most, seconds } = LIMITS[limit]
  const attempt = [limit, key, most, seconds]
  const [row] = await serverQuery<{ wait: number }>('select app.count_auth_attempt($1, $2, $3, $4) as wait', attempt)
  const wait = row?.wait ?? 0
  if (wait > 0) throw new AppError('rate_limited', toAdvice(limit, wait), { retry_after: wait })
}

/** How long to wait, and what else helps: a new password, where the attempts were of one account to sign in. */
function toAdvice(limit: AuthLimit, seconds: number): string {
  const minutes = Math.ceil(seconds / 60)
  const wait = `Too many attempts. Try again in ${minutes === 1 ? 'a minute' : `${minutes} minutes`}`
  return limit === 'sign_in_account' ? `${wait}, or set a new password now.` : `${wait}.`
}

/** Gives one attempt back. */
export async function returnAttempt(limit: AuthLimit, key: string): Promise<void> {
  await serverQuery('select app.return_auth_attempts($1, $2, 1)', [limit, key])
}

/** Gives all attempts back. */
export async function forgetAttempts(limit: AuthLimit, key: string): Promise<void> {
  await serverQuery('select app.return_auth_attempts($1, $2, null)', [limit, key])
}
