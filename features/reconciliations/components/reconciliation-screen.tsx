'use client'

import { CircleCheck, Wrench } from 'lucide-react'
import { useEffect, useState } from 'react'
import { DriftCount, durationOf, RunState } from '@/features/reconciliations/components/run-state'
import type { DriftRow, ReconciliationRow } from '@/features/reconciliations/schema'
import type { Page } from '@/libs/ui/api-client'
import { Banner } from '@/libs/ui/banner'
import { Button } from '@/libs/ui/button'
import { Card, KeyValueList } from '@/libs/ui/card'
import { ConfirmDialog } from '@/libs/ui/confirm-dialog'
import type { Column } from '@/libs/ui/data-table'
import { formatDate, formatNumber } from '@/libs/ui/format'
import { useListState } from '@/libs/ui/list-state'
import { ListTable } from '@/libs/ui/list-table'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { TextSkeleton } from '@/libs/ui/skeleton'
import { EmptyState, ErrorState } from '@/libs/ui/states'
import { ExactTime, Time, useTimeZone } from '@/libs/ui/time'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch } from '@/libs/ui/use-api'

/** One run: what was compared, what was found, and its repair. */
export function ReconciliationScreen({ id, base, repairs }: { id: string; base: string; repairs: boolean }) {
  const [under, setUnder] = useState(true)
  const run = useApi<ReconciliationRow>(`/reconciliations/${id}`, under ? { refreshMs: 2_000 } : {})
  const status = run.data?.status
  useEffect(() => setUnder(status !== 'finished' && status !== 'failed'), [status])
  if (run.data) return <RunWithDrifts run={run.data} base={base} repairs={repairs} onChanged={run.reload} />
  return (
    <>
      <PageHeader
        breadcrumbs={[{ label: t('reconciliations.title'), href: base }, { label: id.slice(0, 8) }]}
        title={t('reconciliations.one.title')}
      />
      {run.error ? <ErrorState error={run.error} onRetry={run.reload} /> : <TextSkeleton lines={8} />}
    </>
  )
}

function RunWithDrifts({
  run,
  base,
  repairs,
  onChanged,
}: {
  run: ReconciliationRow
  base: string
  repairs: boolean
  onChanged: () => void
}) {
  const api = useApiFetch()
  const zone = useTimeZone()
  const list = useListState([], { limit: 100 })
  const [asking, setAsking] = useState(false)
  const page = useApi<Page<DriftRow>>(run.drifts ? `/reconciliations/${run.id}/drifts${list.query}` : null)
  const started = formatDate(run.started_at ?? run.created_at, 'datetime', zone)
  async function repair() {
    await api<ReconciliationRow>(`/reconciliations/${run.id}/repair`, { method: 'POST' })
    toast.success(t('reconciliations.repair.done'))
    onChanged()
  }
  return (
    <>
      <PageHeader
        breadcrumbs={[{ label: t('reconciliations.title'), href: base }, { label: started }]}
        title={`${t('reconciliations.one.title')} ${started}`}
        badge={<RunState status={run.status} />}
        actions={
          repairs && run.status === 'finished' && run.drifts && run.repaired_at === null ? (
            <Button variant="primary" icon={<Wrench />} onClick={() => setAsking(true)}>
              {t('reconciliations.one.repair')}
            </Button>
          ) : null
        }
      />
      {run.repaired_at !== null ? (
        <Banner tone="success" title={t('reconciliations.last.repaired')} className="mb-6">
          {t('reconciliations.one.repaired', { count: run.repaired ?? 0 })} <Time value={run.repaired_at} />
        </Banner>
      ) : null}
      <Card className="mb-6">
        <KeyValueList
          columns={2}
          items={[
            { label: t('reconciliations.column.drift'), value: <DriftCount drifts={run.drifts} /> },
            {
              label: t('reconciliations.column.started'),
              value: <ExactTime value={run.started_at ?? run.created_at} />,
            },
            { label: t('reconciliations.column.by'), value: t(`reconciliations.by.${run.requested_by}`) },
            { label: t('reconciliations.column.events'), value: run.events === null ? '–' : formatNumber(run.events) },
            {
              label: t('reconciliations.column.rows'),
              value: run.rows_checked === null ? '–' : formatNumber(run.rows_checked),
            },
            { label: t('reconciliations.column.duration'), value: durationOf(run) },
            {
              label: t('reconciliations.one.from_day'),
              value:
                run.from_day === null ? (
                  t('reconciliations.one.all_days')
                ) : (
                  <>
                    {formatDate(`${run.from_day}T00:00:00Z`, 'date')}
                    <span className="block text-faint text-xs">{t('reconciliations.one.sealed')}</span>
                  </>
                ),
            },
            ...(run.error === null ? [] : [{ label: t('reconciliations.one.error'), value: run.error }]),
          ]}
        />
      </Card>
      {run.status === 'finished' ? (
        <section>
          <h2 className="mb-3 font-semibold text-base tracking-tight">{t('reconciliations.one.found')}</h2>
          <ListTable
            label={t('reconciliations.one.found')}
            list={list}
            page={run.drifts ? page : { ...page, data: { data: [], next_cursor: null } }}
            columns={columnsOf(zone)}
            rowKey={(row) => String(row.position)}
            rowLabel={(row) =>
              `${t(`reconciliations.table.${row.table_name}`)}, ${row.meter_name ?? row.row_key.metric ?? row.row_key.id}`
            }
            empty={
              <EmptyState
                icon={<CircleCheck />}
                title={t('reconciliations.last.clean')}
                description={t('reconciliations.one.nothing')}
              />
            }
          />
          {run.drifts !== null && run.drifts > 1_000 ? (
            <p className="mt-1 text-faint text-sm">{t('reconciliations.one.first')}</p>
          ) : null}
        </section>
      ) : null}
      <ConfirmDialog
        open={asking}
        onOpenChange={setAsking}
        title={t('reconciliations.repair.title')}
        description={t('reconciliations.repair.description')}
        consequences={[{ label: t('reconciliations.repair.totals'), count: run.drifts ?? 0 }]}
        confirmLabel={t('reconciliations.repair.confirm')}
        onConfirm={repair}
      />
    </>
  )
}

const FIELDS = [
  'used',
  'left',
  'granted',
  'allowance',
  'opening',
  'starts_on',
  'as_of',
  'resets_at',
  'remaining',
  'value',
  'status',
  'settled',
  'quantity',
  'lines',
  'events',
  'adjustments',
  'moment',
  'last_at',
  'last_received_at',
  'group_values',
  'individual',
] as const

/** The values of a row, with what differs from the other side standing out. */
function Values({ own, other, none }: { own: DriftRow['stored']; other: DriftRow['stored']; none: string }) {
  if (own === null) return <span className="text-faint">{none}</span>
  return (
    <span className="flex flex-col items-end gap-0.5">
      {FIELDS.filter((name) => own[name] !== undefined && own[name] !== null).map((name) => (
        <span key={name} className="whitespace-nowrap">
          <span className="text-faint text-xs">{t(`reconciliations.field.${name}`)}</span>{' '}
          <span className={own[name] === other?.[name] ? 'tabular text-mute' : 'tabular font-medium'}>
            {String(own[name])}
          </span>
        </span>
      ))}
    </span>
  )
}

function columnsOf(zone: string): ReadonlyArray<Column<DriftRow>> {
  return [
    {
      key: 'table',
      header: t('reconciliations.column.rows'),
      cell: ({ table_name, row_key, meter_name }) => (
        <span className="block">
          {[t(`reconciliations.table.${table_name}`), meter_name].filter(Boolean).join(' · ')}{' '}
          <code className="break-all font-mono text-faint text-xs">{row_key.meter}</code>
          <span className="block break-all text-faint text-xs">
            {[
              row_key.metric,
              row_key.label,
              row_key.customer,
              row_key.period,
              row_key.starts_on ? formatDate(`${row_key.starts_on}T00:00:00Z`, 'date') : undefined,
              row_key.quarter ? formatDate(row_key.quarter, 'exact', zone) : undefined,
              row_key.hash?.slice(0, 8),
              row_key.id,
            ]
              .filter(Boolean)
              .join(' · ')}
          </span>
        </span>
      ),
    },
    {
      key: 'stored',
      header: t('reconciliations.one.stored'),
      align: 'right',
      cell: ({ stored, expected }) => <Values own={stored} other={expected} none={t('reconciliations.one.missing')} />,
    },
    {
      key: 'expected',
      header: t('reconciliations.one.expected'),
      align: 'right',
      cell: ({ stored, expected }) => (
        <Values own={expected} other={stored} none={t('reconciliations.one.no_events')} />
      ),
    },
  ]
}
