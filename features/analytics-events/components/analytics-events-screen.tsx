'use client'

import { Activity, Globe, Server } from 'lucide-react'
import { type AnalyticsEvent, EventDrawer } from '@/features/analytics-events/components/event-drawer'
import { type Page, toQuery } from '@/libs/ui/api-client'
import { CodeSnippet, type Snippet } from '@/libs/ui/code-snippet'
import type { Column } from '@/libs/ui/data-table'
import { DateRangePicker, useDateRange } from '@/libs/ui/date-range'
import { type Facet, FilterBar, FilterChip } from '@/libs/ui/filter-bar'
import { httpSnippets } from '@/libs/ui/http-snippets'
import { useListState } from '@/libs/ui/list-state'
import { ListTable } from '@/libs/ui/list-table'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { EmptyState } from '@/libs/ui/states'
import { Time } from '@/libs/ui/time'
import { useApi } from '@/libs/ui/use-api'
import { useOpenRow } from '@/libs/ui/use-open-row'

const SOURCES = ['server', 'browser'] as const satisfies AnalyticsEvent['source'][]

const facets: readonly Facet[] = [
  {
    key: 'source',
    label: t('analytics-events.column.source'),
    options: SOURCES.map((value) => ({ value, label: t(`analytics-events.source.${value}`) })),
  },
]

const columns: ReadonlyArray<Column<AnalyticsEvent>> = [
  {
    key: 'event',
    header: t('analytics-events.column.event'),
    cell: (event) => <span className="inline-block max-w-60 truncate align-bottom">{event.event}</span>,
    width: 'w-56',
  },
  {
    key: 'person',
    header: t('analytics-events.column.person'),
    cell: (event) => (
      <code className="block max-w-44 truncate font-mono text-mute text-xs max-sm:ml-auto" title={event.distinct_id}>
        {event.distinct_id}
      </code>
    ),
  },
  {
    key: 'properties',
    header: t('analytics-events.column.properties'),
    cell: (event) => <Properties properties={event.properties} />,
  },
  {
    key: 'source',
    header: t('analytics-events.column.source'),
    cell: (event) => {
      const Icon = event.source === 'server' ? Server : Globe
      return (
        <span className="inline-flex items-center whitespace-nowrap gap-2 align-bottom">
          <Icon aria-hidden="true" className="size-4 shrink-0 text-faint" />
          {t(`analytics-events.source.${event.source}`)}
        </span>
      )
    },
    hideOnCard: true,
    folds: true,
  },
  {
    key: 'time',
    header: t('analytics-events.column.time'),
    cell: (event) => <Time value={event.occurred_at} />,
    align: 'right',
  },
]

/** The first two properties, in short. */
function Properties({ properties }: { properties: AnalyticsEvent['properties'] }) {
  const names = Object.keys(properties)
  if (names.length === 0) return <span className="text-faint">{t('analytics-events.properties_none')}</span>
  const shown = names.slice(0, 2).map((name) => `${name}: ${shorten(properties[name])}`)
  return (
    <span className="flex max-w-80 items-baseline gap-2 max-sm:ml-auto max-sm:justify-end">
      <span className="truncate text-mute">{shown.join(' · ')}</span>
      {names.length > 2 ? (
        <span className="shrink-0 text-faint text-xs">
          {t('analytics-events.properties_more', { count: names.length - 2 })}
        </span>
      ) : null}
    </span>
  )
}

function shorten(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
  return text.length > 40 ? `${text.slice(0, 39)}…` : text
}

/** How to track an event from the server's own code, and over the API. `url` is absolute. */
function trackSnippets(url: string): readonly [Snippet, ...Snippet[]] {
  const server = [
    "import { TenantAnalytics } from '@/libs/analytics/tenant-analytics'",
    '',
    "await TenantAnalytics.trackEvent(user.id, 'report_opened', {",
    "  report: 'usage',",
    '})',
  ].join('\n')
  const body = { event: 'report_opened', distinct_id: 'user-17', properties: { report: 'usage' } }
  return [
    { label: t('analytics-events.empty.server'), language: 'typescript', code: server },
    ...httpSnippets({ method: 'POST', url, body }),
  ]
}

/** What people do in the product: filters in the URL, every event in full. `eventsUrl` takes events, absolute. */
export function AnalyticsEventsScreen({ eventsUrl }: { eventsUrl: string }) {
  const list = useListState(['source', 'distinct_id'])
  const range = useDateRange('12m')
  const [open, setOpen] = useOpenRow('entry')
  const query = toQuery({
    event: list.q.trim() || null,
    distinct_id: list.facets.distinct_id?.[0] ?? null,
    source: list.facets.source?.[0] ?? null,
    ...range.params,
    cursor: list.cursor,
  })
  const page = useApi<Page<AnalyticsEvent>>(`/analytics-events${query}`)

  return (
    <>
      <PageHeader title={t('analytics-events.title')} description={t('analytics-events.description')} />
      <FilterBar list={list} search={t('analytics-events.search')} facets={facets}>
        <FilterChip list={list} name="distinct_id" label={t('analytics-events.filter.person')} />
        <DateRangePicker range={range} />
      </FilterBar>
      <ListTable
        label={t('analytics-events.title')}
        list={list}
        page={page}
        columns={columns}
        rowKey={(event) => event.id}
        rowLabel={(event) => event.event}
        onRowOpen={(event) => setOpen(event.id)}
        filtered={list.filtered || range.preset !== '12m'}
        onClearFilters={() => {
          list.clear()
          range.set('12m')
        }}
        skeletonRows={10}
        empty={
          <EmptyState
            icon={<Activity />}
            title={t('analytics-events.empty.title')}
            description={t('analytics-events.empty.description')}
          >
            <CodeSnippet label={t('analytics-events.empty.snippet')} snippets={trackSnippets(eventsUrl)} />
          </EmptyState>
        }
      />
      <EventDrawer
        id={open}
        events={page.data?.data ?? []}
        onOpen={(id) => setOpen(id)}
        onNarrow={({ key, value }) => {
          setOpen(null)
          if (key === 'event') list.setQ(value)
          else list.setFacet(key, [value])
        }}
      />
    </>
  )
}
