'use client'

import { Bot, Check, Cog, KeyRound, type LucideIcon, ScrollText, ShieldUser, User, UserRound } from 'lucide-react'
import { useMemo } from 'react'
import { AuditExport } from '@/features/audit-logs/components/audit-export'
import { AUDIT_FILTERS, AuditFilters } from '@/features/audit-logs/components/audit-filters'
import { describeActor, targetName } from '@/features/audit-logs/components/describe-entry'
import { EntryDrawer } from '@/features/audit-logs/components/entry-drawer'
import type { AuditLogFacets, AuditLogRow } from '@/features/audit-logs/schema'
import { type Page, toQuery } from '@/libs/ui/api-client'
import { StatusPill } from '@/libs/ui/badge'
import type { Column } from '@/libs/ui/data-table'
import { DateRangePicker, useDateRange } from '@/libs/ui/date-range'
import { FilterBar } from '@/libs/ui/filter-bar'
import { useListState } from '@/libs/ui/list-state'
import { ListTable } from '@/libs/ui/list-table'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { EmptyState } from '@/libs/ui/states'
import { Time } from '@/libs/ui/time'
import { useApi } from '@/libs/ui/use-api'
import { useOpenRow } from '@/libs/ui/use-open-row'
import { toWords } from '@/libs/ui/words'

const actorIcons: Record<AuditLogRow['actor']['kind'], LucideIcon> = {
  user: User,
  customer: UserRound,
  api_key: KeyRound,
  operator: ShieldUser,
  job: Cog,
  system: Bot,
}

/** Rows of a full page. */
const PAGE = 50

/** Success is the rule and stays quiet; what was refused or failed stands out. */
function Outcome({ outcome }: { outcome: AuditLogRow['outcome'] }) {
  if (outcome !== 'success') return <StatusPill status={outcome} />
  return (
    <span className="flex items-center gap-1.5 text-mute max-sm:justify-end">
      <Check aria-hidden="true" className="size-3.5 text-success-text" />
      {t('ui.status.success')}
    </span>
  )
}

/** The record of the tenant: search, filters in the URL, every entry in full, export of what is filtered. */
export function AuditLogsScreen() {
  const list = useListState(AUDIT_FILTERS)
  const range = useDateRange('12m')
  const [open, setOpen] = useOpenRow('entry')
  const filters = useMemo(
    () => ({
      q: list.q,
      ...Object.fromEntries(AUDIT_FILTERS.map((name) => [name, list.facets[name]?.[0] ?? null])),
      ...range.params,
    }),
    [list.q, list.facets, range.params],
  )
  const page = useApi<Page<AuditLogRow>>(`/audit-logs${toQuery({ ...filters, cursor: list.cursor })}`)
  const facets = useApi<AuditLogFacets>('/audit-logs/facets')
  const narrowed = list.filtered || range.preset !== '12m'

  const columns: ReadonlyArray<Column<AuditLogRow>> = [
    {
      key: 'action',
      header: t('audit-logs.column.action'),
      cell: (entry) => toWords(entry.action),
      width: 'w-56',
    },
    {
      key: 'actor',
      header: t('audit-logs.column.actor'),
      cell: (entry) => {
        const Icon = actorIcons[entry.actor.kind]
        return (
          <span
            className="flex min-w-0 max-w-60 items-center gap-2 max-sm:ml-auto max-sm:justify-end"
            title={t(`audit-logs.actor_kind.${entry.actor.kind}`)}
          >
            <Icon aria-hidden="true" className="size-4 shrink-0 text-faint" />
            <span className="truncate">{describeActor(entry.actor)}</span>
            <span className="sr-only">{t(`audit-logs.actor_kind.${entry.actor.kind}`)}</span>
          </span>
        )
      },
      folds: true,
    },
    {
      key: 'target',
      header: t('audit-logs.column.target'),
      cell: (entry) => {
        const name = targetName(entry)
        return (
          <span className="flex min-w-0 max-w-64 items-baseline gap-1.5 max-sm:ml-auto max-sm:justify-end">
            <span className="shrink-0 text-mute">{toWords(entry.target.type)}</span>
            {name ? <span className="truncate">{name}</span> : null}
          </span>
        )
      },
    },
    {
      key: 'outcome',
      header: t('audit-logs.column.outcome'),
      cell: (entry) => <Outcome outcome={entry.outcome} />,
    },
    {
      key: 'time',
      header: t('audit-logs.column.time'),
      cell: (entry) => <Time value={entry.created_at} />,
      align: 'right',
    },
  ]

  function clear() {
    list.clear()
    range.set('12m')
  }

  return (
    <>
      <PageHeader
        title={t('audit-logs.title')}
        description={t('audit-logs.description')}
        actions={<AuditExport query={toQuery(filters)} narrowed={narrowed} />}
      />
      <FilterBar list={list} search={t('audit-logs.search')}>
        <DateRangePicker range={range} />
      </FilterBar>
      <search aria-label={t('audit-logs.filter.label')} className="mb-4 flex flex-wrap items-center gap-2">
        <AuditFilters list={list} facets={facets.data} />
      </search>
      <ListTable
        label={t('audit-logs.title')}
        list={list}
        page={page}
        columns={columns}
        rowKey={(entry) => entry.id}
        rowLabel={(entry) => toWords(entry.action)}
        onRowOpen={(entry) => setOpen(entry.id)}
        filtered={narrowed}
        onClearFilters={clear}
        skeletonRows={12}
        empty={
          <EmptyState
            icon={<ScrollText />}
            title={t('audit-logs.empty.title')}
            description={t('audit-logs.empty.description')}
          />
        }
      />
      {list.q && page.data?.next_cursor && page.data.data.length < PAGE ? (
        <p className="mt-3 text-faint text-sm">{t('audit-logs.search_goes_on')}</p>
      ) : null}
      <EntryDrawer
        id={open}
        entries={page.data?.data ?? []}
        onOpen={(id) => setOpen(id)}
        onNarrow={(filter) => {
          setOpen(null)
          list.setFacet(filter.key, [filter.value])
        }}
      />
    </>
  )
}
