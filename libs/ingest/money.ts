/** How many decimals a currency has: 2 for USD, 0 for JPY. */
export function currencyDigits(currency: string): number {
  return new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2
}

/** An amount in whole units of a currency (`49.99`) in its smallest ones (`4999`); null where those are not whole. */
export function toMinor(amount: number, currency: string): number | null {
  const minor = Number((amount * 10 ** currencyDigits(currency)).toPrecision(15))
  return Number.isInteger(minor) ? minor : null
}

/** An amount in the smallest units of a currency (`4999`) in whole ones (`49.99`). */
export function fromMinor(minor: number, currency: string): number {
  return minor / 10 ** currencyDigits(currency)
}
