/** Currencies offered first; any other ISO code can be kept. */
export const CURRENCIES = [
  'USD',
  'EUR',
  'GBP',
  'CHF',
  'JPY',
  'CAD',
  'AUD',
  'SEK',
  'NOK',
  'DKK',
  'PLN',
  'INR',
  'BRL',
] as const

/** How many decimals a currency has: 2 for USD, 0 for JPY. */
export function currencyDigits(currency: string): number {
  return new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2
}

/** An amount in whole units (`49.99`) as minor units (`4999`). */
export function toMinor(amount: number, currency: string): number {
  return Math.round(amount * 10 ** currencyDigits(currency))
}

/** Minor units (`4999`) as an amount in whole units (`49.99`). */
export function fromMinor(minor: number, currency: string): number {
  return minor / 10 ** currencyDigits(currency)
}
