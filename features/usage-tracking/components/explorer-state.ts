import { parseAsArrayOf, parseAsString, parseAsStringLiteral, useQueryStates } from 'nuqs'
import { joinValues, splitValues } from '@/features/usage-tracking/components/value-list'
import { addDays, addMonths, daysBetween } from '@/libs/metering/trend'
import { toQuery } from '@/libs/ui/api-client'
import type { ChartInterval } from '@/libs/ui/chart-data'
import type { DateRange } from '@/libs/ui/date-range'

export const windows = ['minute', 'hour', 'day', 'week', 'month'] as const
export type ExplorerWindow = (typeof windows)[number]

const PRESET_DAYS = { '24h': 1, '7d': 7, '30d': 30, '90d': 90, '12m': 365 } as const
const LONGEST_DAYS: Partial<Record<ExplorerWindow, number>> = { minute: 7, hour: 366 }

/** The name of the group that is no property. */
export const CUSTOMER = 'customer'

/** A property with the values it may have. */
export type PropertyFilter = { property: string; values: string[] }

export type ExplorerState = {
  window: ExplorerWindow | null
  zone: string | null
  /** Properties, and `customer`, in the order of the address. */
  groups: string[]
  filters: PropertyFilter[]
  customers: string[]
  set: (change: Partial<Pick<ExplorerState, 'window' | 'zone' | 'groups' | 'filters' | 'customers'>>) => void
}

/** What is asked of a meter, kept in the URL: `?window=hour&zone=UTC&group=region&filter=plan:pro&customer=cedar`. */
export function useExplorerState(): ExplorerState {
  const [values, setValues] = useQueryStates(
    {
      window: parseAsStringLiteral(windows),
      zone: parseAsString,
      group: parseAsArrayOf(parseAsString),
      filter: parseAsArrayOf(parseAsString, ';'),
      customer: parseAsArrayOf(parseAsString),
    },
    { history: 'replace' },
  )
  const filters = (values.filter ?? []).flatMap((text): PropertyFilter[] => {
    const [property = '', ...rest] = text.split(':')
    const chosen = splitValues(rest.join(':'))
    return property && chosen.length > 0 ? [{ property, values: chosen }] : []
  })
  return {
    window: values.window,
    zone: values.zone,
    groups: values.group ?? [],
    filters,
    customers: values.customer ?? [],
    set: ({ window, zone, groups, filters: chosen, customers }) =>
      void setValues({
        ...(window === undefined ? {} : { window }),
        ...(zone === undefined ? {} : { zone }),
        ...(groups === undefined ? {} : { group: groups.length > 0 ? groups : null }),
        ...(chosen === undefined
          ? {}
          : {
              filter:
                chosen.length > 0
                  ? chosen.map(({ property, values: some }) => `${property}:${joinValues(some)}`)
                  : null,
            }),
        ...(customers === undefined ? {} : { customer: customers.length > 0 ? customers : null }),
      }),
  }
}

/** Length of the range that is shown, in days. */
export function daysOfRange({ preset, from, to }: DateRange): number {
  if (preset !== 'custom') return PRESET_DAYS[preset]
  return daysBetween(from ?? '', to ?? '') + 1
}

/** Whether a range may be shown in windows of a size. */
export function fits(window: ExplorerWindow, days: number): boolean {
  return days <= (LONGEST_DAYS[window] ?? Number.POSITIVE_INFINITY)
}

/** Hours for a day or two, days for three months, weeks beyond: so many that bars can be told apart. */
export function fittingWindow(days: number): ExplorerWindow {
  if (days <= 2) return 'hour'
  return days <= 100 ? 'day' : 'week'
}

/** How a chart names the windows. */
export function intervalOf(window: ExplorerWindow): ChartInterval {
  return window === 'minute' ? 'hour' : window
}

/** The days of a week or month that begins with a day, or the day alone; of the present one those up to today. */
export function daysOfBucket(day: string, interval: ChartInterval, today: string): { from: string; to: string } {
  const end = interval === 'month' ? addDays(addMonths(day, 1), -1) : interval === 'week' ? addDays(day, 6) : day
  return { from: day, to: day <= today && today < end ? today : end }
}

type Span = { time_range?: string | undefined; from?: string | undefined; to?: string | undefined }

/** What a range is asked for with: it is chosen with its last day, and asked for up to the end of it. */
export function spanOf({ params: { timeRange: time_range, from, to } }: DateRange): Span {
  return { time_range, from, to: to === undefined ? undefined : addDays(to, 1) }
}

type Asked = Pick<ExplorerState, 'groups' | 'filters' | 'customers'> & {
  range: Span
  window: ExplorerWindow | null
  zone: string | null
  fill: boolean
}

/** The parameters of a question about a meter, with a `?` before them. */
export function explorerQuery({ range, window, zone, groups, filters, customers, fill }: Asked): string {
  const query = toQuery({
    ...range,
    window: window?.toUpperCase(),
    time_zone: zone,
    group_by: groups.length > 0 ? groups.join(',') : null,
    fill: fill ? 'true' : null,
  })
  const search = new URLSearchParams(query.slice(1))
  for (const { property, values } of filters) for (const value of values) search.append(`filter[${property}]`, value)
  for (const customer of customers) search.append('customer', customer)
  return `?${search}`
}
