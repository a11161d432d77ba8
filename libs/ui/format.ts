const LOCALE = 'en'

const plain = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 2 })
const compact = new Intl.NumberFormat(LOCALE, { notation: 'compact', maximumFractionDigits: 1 })
const percent = new Intl.NumberFormat(LOCALE, { style: 'percent', maximumFractionDigits: 0 })
const percentFine = new Intl.NumberFormat(LOCALE, { style: 'percent', maximumFractionDigits: 1 })

/** `1234567.891` → `1,234,567.89`. */
export function formatNumber(value: number): string {
  return plain.format(value)
}

/** `1234567` → `1.2M`; for axes and tiles, never where the exact figure matters. */
export function formatCompact(value: number): string {
  return Math.abs(value) < 10_000 ? plain.format(value) : compact.format(value)
}

/** A share of one: `0.853` → `85%`; `fine` gives one decimal. */
export function formatPercent(share: number, fine = false): string {
  return (fine ? percentFine : percent).format(share)
}

/** Bytes in powers of 1024: `1536` → `1.5 KB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB']
  let value = Math.abs(bytes)
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${bytes < 0 ? '-' : ''}${plain.format(value >= 100 ? Math.round(value) : Math.round(value * 10) / 10)} ${units[unit]}`
}

/** Minor units with an ISO currency: `(4900, 'USD')` → `$49.00`; `(4900, 'JPY')` → `¥4,900`. */
export function formatMoney(minor: number, currency: string): string {
  const format = new Intl.NumberFormat(LOCALE, { style: 'currency', currency })
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2
  return format.format(minor / 10 ** digits)
}

/** A quantity in the unit of its meter: bytes become KB, MB, …; everything else is number and unit. */
export function formatQuantity(value: number, unit?: string): string {
  if (unit === 'bytes') return formatBytes(value)
  return unit ? `${formatNumber(value)} ${unit}` : formatNumber(value)
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
