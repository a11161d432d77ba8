import { addDecimals, expandNumber } from '@/libs/ingest/decimal'

/** The sum of numbers as they are written: 10 and -9.7 are 0.3. Take one away by its negative. */
export function exactSum(...numbers: readonly number[]): number {
  return Number(numbers.map(expandNumber).reduce(addDecimals, '0'))
}
