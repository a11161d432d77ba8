'use client'

import { Scale } from 'lucide-react'
import { DriftCount, durationOf, RunState } from '@/features/reconciliations/components/run-state'
import type { ReconciliationRow } from '@/features/reconciliations/schema'
import type { Page } from '@/libs/ui/api-client'
import { Banner } from '@/libs/ui/banner'
import { Button, LinkButton } from '@/libs/ui/button'
import type { Column } from '@/libs/ui/data-table'
import { formatNumber } from '@/libs/ui/format'
import { useListState } from '@/libs/ui/list-state'
import { ListTable } from '@/libs/ui/list-table'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { Loading, Skeleton } from '@/libs/ui/skeleton'
import { EmptyState } from '@/libs/ui/states'
import { Time } from '@/libs/ui/time'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch, useMutation } from '@/libs/ui/use-api'

const REFRESH_MS = 3_000

/** Runs that compared totals with events, how the last one ended, and a new one on demand. */
export function ReconciliationsScreen({ base, runs }: { base: string; runs: boolean }) {
  const api = useApiFetch()
  const list = useListState([], { limit: 50 })
  const page = useApi<Page<ReconciliationRow>>(
    `/reconciliations${list.query}`,
    list.cursor === null ? { refreshMs: REFRESH_MS } : {},
  )
  const start = useMutation(
    (_: null, options) => api<ReconciliationRow>('/reconciliations', { method: 'POST', ...options }),
    {
      onSuccess: () => {
        toast.info(t('reconciliations.asked'))
        page.reload()
      },
      onError: (problem) => toast.problem(problem),
    },
  )
  const last =
    list.cursor === null
      ? page.data?.data.find(({ status }) => status === 'finished' || status === 'failed')
      : undefined
  return (
    <>
      <PageHeader
        title={t('reconciliations.title')}
        description={t('reconciliations.description')}
        actions={
          runs ? (
            <Button variant="primary" icon={<Scale />} loading={start.pending} onClick={() => void start.run(null)}>
              {t('reconciliations.run')}
            </Button>
          ) : null
        }
      />
      {last ? <LastRun run={last} base={base} /> : null}
      {page.loading && list.cursor === null ? (
        <Loading className="mb-6">
          <Skeleton className="h-17" />
        </Loading>
      ) : null}
      <ListTable
        label={t('reconciliations.list')}
        list={list}
        page={page}
        live
        columns={COLUMNS}
        rowKey={({ id }) => id}
        rowLabel={({ created_at }) => created_at}
        rowHref={({ id }) => `${base}/${id}`}
        empty={
          <EmptyState
            icon={<Scale />}
            title={t('reconciliations.empty')}
            description={t(runs ? 'reconciliations.empty_hint' : 'reconciliations.empty_read_only')}
          />
        }
      />
    </>
  )
}

function LastRun({ run, base }: { run: ReconciliationRow; base: string }) {
  const open = (
    <LinkButton size="sm" href={`${base}/${run.id}`}>
      {t('reconciliations.last.open')}
    </LinkButton>
  )
  const checked = t('reconciliations.last.clean_text', { rows: run.rows_checked ?? 0, events: run.events ?? 0 })
  if (run.status === 'failed') {
    return (
      <Banner tone="danger" title={t('reconciliations.last.failed')} actions={open} className="mb-6">
        {run.error}
      </Banner>
    )
  }
  if (run.drifts && run.repaired_at === null) {
    return (
      <Banner
        tone="danger"
        title={t('reconciliations.last.drift', { count: run.drifts })}
        actions={open}
        className="mb-6"
      >
        {t('reconciliations.last.drift_text')}
      </Banner>
    )
  }
  return (
    <Banner
      tone="success"
      title={t(run.drifts ? 'reconciliations.last.repaired' : 'reconciliations.last.clean')}
      className="mb-6"
    >
      {checked}
    </Banner>
  )
}

const COLUMNS: ReadonlyArray<Column<ReconciliationRow>> = [
  {
    key: 'started',
    header: t('reconciliations.column.started'),
    cell: (run) => <Time value={run.started_at ?? run.created_at} />,
  },
  { key: 'status', header: t('reconciliations.column.status'), cell: (run) => <RunState status={run.status} /> },
  { key: 'drift', header: t('reconciliations.column.drift'), cell: (run) => <DriftCount drifts={run.drifts} /> },
  {
    key: 'by',
    header: t('reconciliations.column.by'),
    cell: (run) => t(`reconciliations.by.${run.requested_by}`),
  },
  {
    key: 'events',
    header: t('reconciliations.column.events'),
    align: 'right',
    cell: (run) => <span className="tabular">{run.events === null ? '–' : formatNumber(run.events)}</span>,
  },
  {
    key: 'rows',
    header: t('reconciliations.column.rows'),
    align: 'right',
    cell: (run) => <span className="tabular">{run.rows_checked === null ? '–' : formatNumber(run.rows_checked)}</span>,
  },
  {
    key: 'duration',
    header: t('reconciliations.column.duration'),
    align: 'right',
    cell: (run) => <span className="tabular">{durationOf(run)}</span>,
  },
]
