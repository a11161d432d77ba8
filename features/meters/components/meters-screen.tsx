'use client'

import { Archive, ArchiveRestore, Gauge, Pencil, Plus } from 'lucide-react'
import { useMemo } from 'react'
import { MeterDialog } from '@/features/meters/components/meter-dialog'
import type { Meter } from '@/features/meters/components/meter-form-values'
import { useArchiveMeter } from '@/features/meters/components/use-archive-meter'
import type { Page } from '@/libs/ui/api-client'
import { ArchivedFilter } from '@/libs/ui/archived-filter'
import { Badge } from '@/libs/ui/badge'
import { Button } from '@/libs/ui/button'
import { CodeSnippet } from '@/libs/ui/code-snippet'
import type { Column } from '@/libs/ui/data-table'
import { FilterBar } from '@/libs/ui/filter-bar'
import { formatCompact, formatQuantity } from '@/libs/ui/format'
import { httpSnippets } from '@/libs/ui/http-snippets'
import { useListState } from '@/libs/ui/list-state'
import { ListTable } from '@/libs/ui/list-table'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { Sparkline } from '@/libs/ui/sparkline'
import { EmptyState } from '@/libs/ui/states'
import { Time } from '@/libs/ui/time'
import { useApi } from '@/libs/ui/use-api'
import { useEditDialog } from '@/libs/ui/use-edit-dialog'

type Daily = { data: ReadonlyArray<{ day: string; meter: string; used: number | string }> }
type Totals = { data: ReadonlyArray<{ meter: { slug: string }; used: number | string }> }

/** The meters of the tenant with what came in of late. `base` is the address of the list. */
export function MetersScreen({ base, trackUrl, canWrite }: { base: string; trackUrl: string; canWrite: boolean }) {
  const list = useListState(['archived'])
  const page = useApi<Page<Meter>>(`/meters${list.query}`)
  const daily = useApi<Daily>('/usage/daily?time_range=30d&fill=true')
  // Of an average or a greatest value the days do not add up to the whole.
  const totals = useApi<Totals>('/usage?time_range=30d&limit=500')
  const dialog = useEditDialog<Meter>(t('meters.create'), canWrite)
  const archive = useArchiveMeter(page.reload)

  const days = useMemo(() => {
    const bySlug = Map.groupBy(daily.data?.data ?? [], (row) => row.meter)
    return new Map([...bySlug].map(([slug, rows]) => [slug, rows.map((row) => Number(row.used))]))
  }, [daily.data])
  const used = useMemo(
    () => new Map((totals.data?.data ?? []).map((row) => [row.meter.slug, Number(row.used)])),
    [totals.data],
  )
  const total = (meter: Meter) => used.get(meter.slug) ?? 0

  const columns: ReadonlyArray<Column<Meter>> = [
    {
      key: 'name',
      header: t('meters.column.name'),
      sortValue: (meter) => meter.name,
      cell: (meter) => (
        <span className="inline-flex flex-col">
          <span className="inline-flex items-center gap-2">
            {meter.name}
            {meter.archived_at ? <Badge>{t('meters.is_archived')}</Badge> : null}
          </span>
          <code className="font-mono font-normal text-faint text-xs">{meter.slug}</code>
        </span>
      ),
    },
    {
      key: 'aggregation',
      header: t('meters.column.aggregation'),
      sortValue: (meter) => meter.aggregation,
      cell: (meter) => t(`meters.aggregation.${meter.aggregation}`),
    },
    {
      key: 'unit',
      header: t('meters.column.unit'),
      cell: (meter) =>
        meter.unit ? <span className="wrap-anywhere">{meter.unit}</span> : <span className="text-faint">–</span>,
    },
    {
      key: 'last_30',
      header: t('meters.column.last_30'),
      sortValue: total,
      cell: (meter) => (
        <span
          className="flex items-center gap-3 max-sm:justify-end"
          title={formatQuantity(total(meter), meter.unit || undefined)}
        >
          <Sparkline values={days.get(meter.slug) ?? []} />
          <span className="tabular min-w-14 text-right">
            {meter.unit === 'bytes' ? formatQuantity(total(meter), 'bytes') : formatCompact(total(meter))}
          </span>
        </span>
      ),
    },
    {
      key: 'created',
      header: t('meters.column.created'),
      align: 'right',
      sortValue: (meter) => meter.created_at,
      cell: (meter) => <Time value={meter.created_at} mode="date" />,
    },
  ]

  const create = canWrite ? (
    <Button variant="primary" icon={<Plus />} onClick={dialog.create}>
      {t('meters.create')}
    </Button>
  ) : null

  return (
    <>
      <PageHeader title={t('meters.title')} description={t('meters.description')} actions={create} />
      <FilterBar list={list} search={t('meters.search')}>
        <ArchivedFilter
          list={list}
          label={t('meters.show')}
          active={t('meters.show_active')}
          archived={t('meters.show_archived')}
        />
      </FilterBar>
      <ListTable
        label={t('meters.title')}
        list={list}
        page={page}
        columns={columns}
        rowKey={(meter) => meter.id}
        rowLabel={(meter) => meter.name}
        rowHref={(meter) => `${base}/${meter.slug}`}
        actions={
          canWrite
            ? (meter) =>
                meter.archived_at
                  ? [{ label: t('meters.restore'), icon: <ArchiveRestore />, onSelect: () => archive(meter, false) }]
                  : [
                      { label: t('meters.edit'), icon: <Pencil />, onSelect: () => dialog.edit(meter) },
                      { label: t('meters.archive'), icon: <Archive />, onSelect: () => archive(meter, true) },
                    ]
            : undefined
        }
        skeletonRows={5}
        empty={
          <EmptyState
            icon={<Gauge />}
            title={t('meters.empty.title')}
            description={t(canWrite ? 'meters.empty.description' : 'meters.empty.read_only')}
            action={create}
          >
            {canWrite ? (
              <CodeSnippet
                label={t('meters.detail.send')}
                snippets={httpSnippets({
                  method: 'POST',
                  url: trackUrl,
                  body: { meter_id: 'api_calls', user_id: 'customer-1', event_value: 1 },
                })}
              />
            ) : null}
          </EmptyState>
        }
      />
      <MeterDialog
        open={dialog.open}
        meter={dialog.target}
        onOpenChange={(open) => !open && dialog.close()}
        onSaved={() => {
          dialog.close()
          page.reload()
        }}
      />
    </>
  )
}
