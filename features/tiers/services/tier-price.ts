import { invalidInput } from '@/libs/errors'
import { fromMinor, toMinor } from '@/libs/ingest/money'
import { MOST_PRICE_MINOR, type TierPatch } from '../schema'

/**
 * The price of a tier in the smallest units of its currency; undefined when none is said.
 * @throws AppError invalid_input for a fraction of the smallest unit, which nobody can pay, and for more than can be kept.
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
  if (minor > MOST_PRICE_MINOR) throw invalidInput('/price', `must be at most ${fromMinor(MOST_PRICE_MINOR, currency)}`)
  return minor
}

/**
 * The price as a change leaves it. Another currency alone keeps the amount, 10 USD as 10 EUR: where the smallest units
 * are not as small, it has to be said. @throws AppError invalid_input, as priceOf too.
 */
export function changedPriceOf(
  present: { price_minor: number; currency: string },
  input: Pick<TierPatch, 'price' | 'price_minor'>,
  currency: string,
): number {
  const said = priceOf(input, currency)
  if (said !== undefined) return said
  const { price_minor } = present
  if (fromMinor(price_minor, currency) !== fromMinor(price_minor, present.currency)) {
    throw invalidInput('/price', `is needed: ${currency} has other decimals than ${present.currency}`)
  }
  return price_minor
}
