'use client'

import { Cable } from 'lucide-react'
import {
  CONNECTOR_NAMES,
  type ConnectorEvent,
  ConnectorName,
  DIRECTION_NAMES,
  EventStatus,
  STATUS_NAMES,
} from '@/features/connector-events/components/event-cells'
import { EventDrawer } from '@/features/connector-events/components/event-drawer'
import { type Page, toQuery } from '@/libs/ui/api-client'
import { CodeSnippet, type Snippet } from '@/libs/ui/code-snippet'
import type { Column } from '@/libs/ui/data-table'
import { DateRangePicker, useDateRange } from '@/libs/ui/date-range'
import { type Facet, FilterBar, FilterChip } from '@/libs/ui/filter-bar'
import { useListState } from '@/libs/ui/list-state'
import { ListTable } from '@/libs/ui/list-table'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { EmptyState } from '@/libs/ui/states'
import { Time } from '@/libs/ui/time'
import { useApi } from '@/libs/ui/use-api'
import { useOpenRow } from '@/libs/ui/use-open-row'
import { toWords } from '@/libs/ui/words'

/** The filters, each with one value, by their names in the URL and in the API. */
const FILTERS = ['connector', 'direction', 'status', 'action', 'user_id'] as const

const facets: readonly Facet[] = [
  {
    key: 'connector',
    label: t('connector-events.column.connector'),
    options: CONNECTOR_NAMES.map((value) => ({ value, label: t(`connector-events.connector.${value}`) })),
  },
  {
    key: 'status',
    label: t('connector-events.column.status'),
    options: STATUS_NAMES.map((value) => ({ value, label: t(`connector-events.status.${value}`) })),
  },
  {
    key: 'direction',
    label: t('connector-events.direction.label'),
    options: DIRECTION_NAMES.map((value) => ({ value, label: t(`connector-events.direction.${value}`) })),
  },
]

const columns: ReadonlyArray<Column<ConnectorEvent>> = [
  {
    key: 'action',
    header: t('connector-events.column.action'),
    cell: (event) => toWords(event.action),
    width: 'w-52',
  },
  {
    key: 'connector',
    header: t('connector-events.column.connector'),
    cell: (event) => <ConnectorName connector={event.connector} />,
  },
  {
    key: 'target',
    header: t('connector-events.column.target'),
    cell: (event) => (
      <span className="block max-w-72 truncate max-sm:ml-auto" title={event.target}>
        {event.target}
      </span>
    ),
  },
  {
    key: 'status',
    header: t('connector-events.column.status'),
    cell: (event) => <EventStatus status={event.status} />,
  },
  {
    key: 'attempt',
    header: t('connector-events.column.attempt'),
    cell: (event) => (event.attempts > 0 ? event.attempts : <span className="text-faint">–</span>),
    align: 'right',
    hideOnCard: true,
    folds: true,
  },
  {
    key: 'time',
    header: t('connector-events.column.time'),
    cell: (event) => <Time value={event.created_at} />,
    align: 'right',
  },
]

const snippets: readonly [Snippet] = [
  {
    label: 'TypeScript',
    language: 'typescript',
    code: [
      'import { ConnectorEventsService }',
      "  from '@/libs/connectors/connector-events'",
      '',
      'const { logSlackMessage, logWebhook, logEmail } = ConnectorEventsService',
      "await logSlackMessage('#sales', 'A new customer', user.id)",
      "await logWebhook('https://example.com/hooks', 'order.created')",
      "await logEmail('ann@example.com', 'Your invoice', user.id)",
    ].join('\n'),
  },
]

/** What went out to other systems, or failed to: search, filters in the URL, every event in full. */
export function ConnectorEventsScreen() {
  const list = useListState(FILTERS)
  const range = useDateRange('12m')
  const [open, setOpen] = useOpenRow('entry')
  const query = toQuery({
    q: list.q,
    ...Object.fromEntries(FILTERS.map((name) => [name, list.facets[name]?.[0] ?? null])),
    ...range.params,
    cursor: list.cursor,
  })
  const page = useApi<Page<ConnectorEvent>>(`/connector-events${query}`)

  return (
    <>
      <PageHeader title={t('connector-events.title')} description={t('connector-events.description')} />
      <FilterBar list={list} search={t('connector-events.search')} facets={facets}>
        <FilterChip list={list} name="action" label={t('connector-events.filter.action')} />
        <FilterChip list={list} name="user_id" label={t('connector-events.filter.user_id')} />
        <DateRangePicker range={range} />
      </FilterBar>
      <ListTable
        label={t('connector-events.title')}
        list={list}
        page={page}
        columns={columns}
        rowKey={(event) => event.id}
        rowLabel={(event) => toWords(event.action)}
        onRowOpen={(event) => setOpen(event.id)}
        filtered={list.filtered || range.preset !== '12m'}
        onClearFilters={() => {
          list.clear()
          range.set('12m')
        }}
        skeletonRows={10}
        empty={
          <EmptyState
            icon={<Cable />}
            title={t('connector-events.empty.title')}
            description={t('connector-events.empty.description')}
          >
            <CodeSnippet label={t('connector-events.empty.snippet')} snippets={snippets} />
          </EmptyState>
        }
      />
      <EventDrawer
        id={open}
        events={page.data?.data ?? []}
        onOpen={(id) => setOpen(id)}
        onNarrow={({ key, value }) => {
          setOpen(null)
          list.setFacet(key, [value])
        }}
      />
    </>
  )
}
