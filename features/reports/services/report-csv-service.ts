import { escapeFormula, quantityCell } from '@/libs/csv-cell'
import { toCsv } from '@/libs/csv-file'
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
      quantityCell(row.used),
      quantityCell(row.events),
      quantityCell(row.previous),
      quantityCell(row.change_percent),
      quantityCell(row.cap),
      row.cap_period ?? '',
      quantityCell(row.overage),
    ]),
    ...top_customers.flatMap(({ meter, customers }) =>
      customers.map((row) => [
        'customer',
        month,
        meter,
        escapeFormula(units.get(meter) ?? ''),
        escapeFormula(row.customer.external_id),
        '',
        quantityCell(row.used),
        quantityCell(row.events),
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
      quantityCell(row.used),
      quantityCell(row.events),
      ...Array(5).fill(''),
    ]),
  ]
  return toCsv([HEAD, ...lines])
}
