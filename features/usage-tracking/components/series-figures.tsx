'use client'

import { useMemo, useState } from 'react'
import { groupKey, groupLabel } from '@/features/usage-tracking/components/meter-series'
import type { UsageSeries } from '@/libs/metering/usage-query'
import { Button } from '@/libs/ui/button'
import { type Column, DataTable } from '@/libs/ui/data-table'
import { formatExact, formatNumber } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import { Time } from '@/libs/ui/time'

const AT_ONCE = 12

type Row = UsageSeries['data'][number] & { key: string }

/** Holds the place of the figures while they are on their way. */
export function SeriesFiguresSkeleton() {
  return (
    <section className="min-w-0">
      <h2 className="mb-3 font-semibold text-base tracking-tight">{t('usage.explorer.figures')}</h2>
      <DataTable<Row>
        loading
        label={t('usage.explorer.figures')}
        columns={[]}
        rows={undefined}
        rowKey={(row) => row.key}
        rowLabel={groupLabel}
        skeletonRows={AT_ONCE}
      />
    </section>
  )
}

/** The figures of a series as they are, to the last digit: the newest first, and of one window the largest. */
export function SeriesFigures({ series }: { series: UsageSeries }) {
  const [shown, setShown] = useState(AT_ONCE)
  const rows = useMemo(
    () =>
      series.data
        .filter(({ events }) => events > 0)
        .map((row): Row => ({ ...row, key: `${row.window_start} ${groupKey(row)}` }))
        .sort((a, b) => b.window_start.localeCompare(a.window_start) || Number(b.value) - Number(a.value)),
    [series],
  )
  const columns = useMemo(() => columnsOf(series), [series])
  if (rows.length === 0) return null
  return (
    <section className="min-w-0">
      <h2 className="mb-3 font-semibold text-base tracking-tight">{t('usage.explorer.figures')}</h2>
      <DataTable
        label={t('usage.explorer.figures')}
        columns={columns}
        rows={rows.slice(0, shown)}
        rowKey={(row) => row.key}
        rowLabel={groupLabel}
        footer={
          rows.length > shown ? (
            <Button size="sm" onClick={() => setShown(shown + 4 * AT_ONCE)}>
              {t('usage.explorer.more', { count: rows.length - shown })}
            </Button>
          ) : null
        }
      />
    </section>
  )
}

function columnsOf({ data, meter, window }: UsageSeries): ReadonlyArray<Column<Row>> {
  const byDay = window === 'DAY' || window === 'WEEK' || window === 'MONTH'
  const grouped = data.find(({ customer, group }) => customer || group)
  const names = [...(grouped?.customer ? [t('usage.customer')] : []), ...Object.keys(grouped?.group ?? {})]
  return [
    {
      key: 'window',
      header: t('usage.explorer.from'),
      cell: (row) => <Time value={row.window_start} mode={byDay ? 'date' : 'datetime'} />,
    },
    ...(names.length > 0
      ? [
          {
            key: 'group',
            header: names.join(' · '),
            cell: (row: Row) => <span className="break-words">{groupLabel(row)}</span>,
          },
        ]
      : []),
    {
      key: 'value',
      header: meter.unit ? t('usage.explorer.value_in', { unit: meter.unit }) : t('usage.value'),
      align: 'right',
      // Exactly: a figure that no double holds comes as text, and is shown to the last digit.
      cell: (row) => <span className="tabular break-all">{row.value === null ? '–' : formatExact(row.value)}</span>,
    },
    { key: 'events', header: t('usage.events'), align: 'right', cell: (row) => formatNumber(row.events) },
  ]
}
