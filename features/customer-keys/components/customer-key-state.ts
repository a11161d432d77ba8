import type { z } from 'zod'
import type { customerKey, newCustomerKey } from '@/features/customer-keys/schema'
import { t } from '@/libs/ui/messages'

export type CustomerKey = z.infer<typeof customerKey>
export type NewCustomerKey = z.infer<typeof newCustomerKey>
export type CustomerKeyState = 'active' | 'disabled' | 'rotated' | 'expired' | 'revoked'

/** What a key is called on the screen. */
export function nameOf(key: Pick<CustomerKey, 'name'>): string {
  return key.name || t('customer-keys.unnamed')
}

/** The state of a key at a moment; one that has a successor and still works is `rotated`. */
export function customerKeyState(key: CustomerKey, now: number): CustomerKeyState {
  if (key.revoked_at !== null) return 'revoked'
  if (key.expires_at !== null && new Date(key.expires_at).getTime() <= now) return 'expired'
  if (!key.enabled) return 'disabled'
  return key.succeeded_by ? 'rotated' : 'active'
}
