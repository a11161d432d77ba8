import { fromMinor } from '@/libs/ingest/money'

const LOCALE = 'en'

/** A number, or decimal text of one that no double holds: its digits are shown as they are. */
export type Numeric = number | string

/** Two decimals; what is smaller than that keeps two digits, so that nothing that counts reads as zero. */
const plain = new Intl.NumberFormat(LOCALE, {
  maximumFractionDigits: 2,
  maximumSignificantDigits: 2,
  roundingPriority: 'morePrecision',
})
const exact = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 20 })
const bare = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 20, useGrouping: false })
const scientific = new Intl.NumberFormat(LOCALE, { notation: 'scientific', maximumFractionDigits: 1 })
const compact = new Intl.NumberFormat(LOCALE, { notation: 'compact', maximumFractionDigits: 1 })
const percent = new Intl.NumberFormat(LOCALE, { style: 'percent', maximumFractionDigits: 0 })
const percentFine = new Intl.NumberFormat(LOCALE, { style: 'percent', maximumFractionDigits: 1 })

const write = (format: Intl.NumberFormat, value: Numeric): string => format.format(value as number)

/** `1234567.891` → `1,234,567.89`; `0.000123` → `0.00012`. */
export function formatNumber(value: Numeric): string {
  return write(plain, value)
}

/** Every digit, for what was sent or is billed: `1234.56789` → `1,234.56789`, `1.5e-8` → `0.000000015`. */
export function formatExact(value: Numeric): string {
  return write(exact, value)
}

/** Every digit and nothing else, for a field that takes decimal text: `1.5e-8` → `0.000000015`. */
export function toDecimalText(value: Numeric): string {
  return write(bare, value)
}

/** `1234567` → `1.2M`, `0.0000015` → `1.5E-6`; for axes and tiles, never where the exact figure matters. */
export function formatCompact(value: number): string {
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-4 || size >= 1e15)) return scientific.format(value)
  return (size < 10_000 ? plain : compact).format(value)
}

/** A share of one: `0.853` → `85%`; `fine` gives one decimal. */
export function formatPercent(share: number, fine = false): string {
  return (fine ? percentFine : percent).format(share)
}

/** Bytes in powers of 1024: `1536` → `1.5 KB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB', 'EB', 'ZB', 'YB']
  let value = Math.abs(bytes)
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  const digits = value >= 100 ? Math.round(value) : value >= 1 ? Math.round(value * 10) / 10 : value
  return `${bytes < 0 ? '-' : ''}${plain.format(digits)} ${units[unit]}`
}

/** Minor units with an ISO currency: `(4900, 'USD')` → `$49.00`; `(4900, 'JPY')` → `¥4,900`. */
export function formatMoney(minor: number, currency: string): string {
  return new Intl.NumberFormat(LOCALE, { style: 'currency', currency }).format(fromMinor(minor, currency))
}

/** A quantity in the unit of its meter: bytes become KB, MB, …; everything else is number and unit. */
export function formatQuantity(value: Numeric, unit?: string): string {
  if (unit === 'bytes') return formatBytes(Number(value))
  return unit ? `${formatNumber(value)} ${unit}` : formatNumber(value)
}

/** A quantity that is foretold: whole from a hundred on, below as any other, so that an expected `0.0000031` is not 0. */
export function formatEstimate(value: number, unit?: string): string {
  return formatQuantity(Math.abs(value) >= 100 ? Math.round(value) : value, unit)
}

type DateStyle = 'date' | 'datetime' | 'exact' | 'day' | 'hour' | 'month'

const dateStyles: Record<DateStyle, Intl.DateTimeFormatOptions> = {
  date: { day: 'numeric', month: 'short', year: 'numeric' },
  datetime: { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
  exact: {
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
    timeZoneName: 'short',
  },
  day: { day: 'numeric', month: 'short' },
  hour: { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
  month: { month: 'short', year: 'numeric' },
}

const formats = new Map<string, Intl.DateTimeFormat>()

/**
 * An instant in a zone (IANA name, default UTC).
 * `date` 21 Nov 2026 · `datetime` with the minute · `exact` with seconds and zone · `day`, `hour`, `month` for axes.
 */
export function formatDate(value: string | number | Date, style: DateStyle = 'datetime', timeZone = 'UTC'): string {
  const key = `${style} ${timeZone}`
  let format = formats.get(key)
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', { ...dateStyles[style], timeZone })
    formats.set(key, format)
  }
  return format.format(new Date(value))
}

const relative = new Intl.RelativeTimeFormat(LOCALE, { numeric: 'auto', style: 'long' })
const steps: Array<[Intl.RelativeTimeFormatUnit, number]> = [
  ['year', 31_557_600],
  ['month', 2_629_800],
  ['week', 604_800],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
]

/** `3 minutes ago`, `in 2 days`, `now` (under 45 seconds). */
export function formatRelative(value: string | number | Date, now: number = Date.now()): string {
  const seconds = (new Date(value).getTime() - now) / 1000
  if (Math.abs(seconds) < 45) return relative.format(0, 'second')
  for (const [unit, size] of steps) {
    if (Math.abs(seconds) >= size * 0.95) return relative.format(Math.round(seconds / size), unit)
  }
  return relative.format(Math.round(seconds / 60), 'minute')
}
