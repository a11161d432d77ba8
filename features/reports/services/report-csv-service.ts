import { stringify } from 'csv-stringify/sync'
import { escapeFormula } from '@/libs/csv-cell'
import type { Quantity } from '@/libs/ingest/decimal'
import type { MonthReport } from '../schema'

const HEAD = [
  'row',
  'month',
  'meter',
  'unit',
  'customer',
  'day',
  'used',
  'events',
  'previous',
  'change_percent',
  'cap',
  'cap_period',
  'overage',
]

const cell = (value: Quantity | null): string => (value === null ? '' : String(value))

/** A report as one table: a row per meter, per large customer and per day; the first column says which. */
export function reportToCsv({ month, customer, meters, top_customers, daily }: MonthReport): string {
  const units = new Map(meters.map(({ meter }) => [meter.slug, meter.unit]))
  const whose = escapeFormula(customer?.external_id ?? '')
  const lines = [
    ...meters.map(({ meter, ...row }) => [
      'meter',
      month,
      meter.slug,
      escapeFormula(meter.unit),
      whose,
      '',
      cell(row.used),
      cell(row.events),
      cell(row.previous),
      cell(row.change_percent),
      cell(row.cap),
      row.cap_period ?? '',
      cell(row.overage),
    ]),
    ...top_customers.flatMap(({ meter, customers }) =>
      customers.map((row) => [
        'customer',
        month,
        meter,
        escapeFormula(units.get(meter) ?? ''),
        escapeFormula(row.customer.external_id),
        '',
        cell(row.used),
        cell(row.events),
        ...Array(5).fill(''),
      ]),
    ),
    ...daily.map((row) => [
      'day',
      month,
      row.meter,
      escapeFormula(units.get(row.meter) ?? ''),
      whose,
      row.day,
      cell(row.used),
      cell(row.events),
      ...Array(5).fill(''),
    ]),
  ]
  return stringify([HEAD, ...lines], { record_delimiter: 'windows' })
}
