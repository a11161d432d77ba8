import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { AppError } from '@/libs/errors'

const QUARTER_HOUR_S = 900
const HOUR_S = 3_600

/**
 * Brute force is limited twice: by account, however many addresses try it, and by address, however many accounts it
 * tries. A sign-in that succeeds gives its tries back. Held in the memory of the process.
 */
const LIMITS = {
  sign_in_account: new RateLimiterMemory({ keyPrefix: 'sign-in-account', points: 10, duration: QUARTER_HOUR_S }),
  sign_in_address: new RateLimiterMemory({ keyPrefix: 'sign-in-address', points: 100, duration: QUARTER_HOUR_S }),
  sign_up_address: new RateLimiterMemory({ keyPrefix: 'sign-up-address', points: 200, duration: HOUR_S }),
  mail_account: new RateLimiterMemory({ keyPrefix: 'mail-account', points: 5, duration: HOUR_S }),
  mail_address: new RateLimiterMemory({ keyPrefix: 'mail-address', points: 100, duration: HOUR_S }),
  reset_address: new RateLimiterMemory({ keyPrefix: 'reset-address', points: 100, duration: HOUR_S }),
} as const

export type AuthLimit = keyof typeof LIMITS

/** Counts one attempt before it is made, so that attempts at the same moment cannot slip by. @throws AppError rate_limited. */
export async function countAttempt(limit: AuthLimit, key: string): Promise<void> {
  try {
    await LIMITS[limit].consume(key)
  } catch (error) {
    if (!(error instanceof RateLimiterRes)) throw error
    throw new AppError('rate_limited', 'Too many attempts. Wait a while, or reset the password.', {
      retry_after: Math.ceil(error.msBeforeNext / 1_000),
    })
  }
}

/** Gives one attempt back. */
export async function returnAttempt(limit: AuthLimit, key: string): Promise<void> {
  await LIMITS[limit].reward(key)
}

/** Gives all attempts back. */
export async function forgetAttempts(limit: AuthLimit, key: string): Promise<void> {
  await LIMITS[limit].delete(key)
}
