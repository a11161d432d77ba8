import { invalidInput } from '@/libs/errors'
import { toMinor } from '@/libs/ingest/money'
import type { TierPatch } from '../schema'

/**
 * The price of a tier in the smallest units of its currency; undefined when none is said.
 * @throws AppError invalid_input for a fraction of the smallest unit, which nobody can pay.
 */
export function priceOf(
  { price, price_minor }: Pick<TierPatch, 'price' | 'price_minor'>,
  currency: string,
): number | undefined {
  if (price === undefined) return price_minor
  const minor = toMinor(price, currency)
  if (minor === null) {
    throw invalidInput('/price', `has more decimals than ${currency} has`)
  }
  return minor
}
