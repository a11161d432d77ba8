'use client'

import { Activity } from 'lucide-react'
import { type FormEvent, useEffect, useState } from 'react'
import type { z } from 'zod'
import { EventInspector } from '@/features/usage-tracking/components/event-inspector'
import { EventStateBadge, EventValue } from '@/features/usage-tracking/components/event-state'
import { TrackSnippet } from '@/features/usage-tracking/components/track-snippet'
import type { usageEvent } from '@/features/usage-tracking/services/event-schema'
import { type Page, toQuery } from '@/libs/ui/api-client'
import type { Column } from '@/libs/ui/data-table'
import { DateRangePicker, useDateRange } from '@/libs/ui/date-range'
import { FilterBar } from '@/libs/ui/filter-bar'
import { IdText } from '@/libs/ui/id-text'
import { Input } from '@/libs/ui/input'
import { type ListState, useListState } from '@/libs/ui/list-state'
import { ListTable } from '@/libs/ui/list-table'
import { t } from '@/libs/ui/messages'
import { EmptyState } from '@/libs/ui/states'
import { Time } from '@/libs/ui/time'
import { useApi } from '@/libs/ui/use-api'
import { useOpenRow } from '@/libs/ui/use-open-row'

export type UsageEvent = z.infer<typeof usageEvent>

const STATES = ['counted', 'filtered', 'corrected', 'correction'] as const
const REFRESH_MS = 5_000
/** The end of an id is what tells it from its neighbours: it is never cut off. */
const TAIL = 8

/** Events as they come in, narrowed by the address; one opens in full. */
export function EventList({
  trackUrl,
  customersHref,
  listsMeters,
  corrects,
}: {
  /** Where usage is sent, absolute. */
  trackUrl: string
  customersHref?: string
  listsMeters: boolean
  corrects: boolean
}) {
  const list = useListState(['meter', 'customer', 'source', 'state'], { limit: 50 })
  const range = useDateRange('30d')
  const [open, setOpen] = useOpenRow('event')
  const meters = useApi<Page<{ slug: string; name: string }>>(listsMeters ? '/meters?archived=all&limit=200' : null, {
    whole: true,
  })
  const one = (key: string) => list.facets[key]?.[0] ?? null
  const query = toQuery({
    event_id: list.q === '' ? null : list.q,
    meter: one('meter'),
    customer: one('customer'),
    source: one('source'),
    state: one('state'),
    // An id is looked for at any time.
    time_range: list.q === '' ? (range.params.timeRange ?? null) : null,
    from: list.q === '' ? (range.params.from ?? null) : null,
    to: list.q === '' ? (range.params.to ?? null) : null,
    cursor: list.cursor,
    limit: 50,
  })
  const page = useApi<Page<UsageEvent>>(`/usage/events${query}`, list.cursor === null ? { refreshMs: REFRESH_MS } : {})
  // A customer or meter that is not there is a filter that matches nothing.
  const missing = page.error?.status === 404
  const narrowed = list.filtered || range.preset !== '30d'
  return (
    <>
      <FilterBar
        list={list}
        search={t('events.search')}
        facets={[
          ...(meters.data
            ? [
                {
                  key: 'meter',
                  label: t('events.meter'),
                  options: meters.data.data.map(({ slug, name }) => ({ value: slug, label: name })),
                },
              ]
            : []),
          {
            key: 'state',
            label: t('events.state_filter'),
            options: STATES.map((value) => ({ value, label: t(`events.state.${value}`) })),
          },
        ]}
      >
        <ExactFilter list={list} name="customer" label={t('events.customer')} />
        <ExactFilter list={list} name="source" label={t('events.source')} />
        <DateRangePicker range={range} />
      </FilterBar>
      <ListTable
        label={t('events.list')}
        list={list}
        page={missing ? { ...page, data: { data: [], next_cursor: null }, error: null } : page}
        live
        columns={COLUMNS}
        rowKey={(event) => event.id}
        rowLabel={(event) => `${event.meter_name}, ${event.user_id}`}
        onRowOpen={(event) => setOpen(event.id)}
        filtered={narrowed}
        onClearFilters={() => {
          list.clear()
          range.set('30d')
        }}
        skeletonRows={12}
        empty={
          <EmptyState icon={<Activity />} title={t('events.empty')} description={t('events.empty_hint')}>
            <TrackSnippet url={trackUrl} />
          </EmptyState>
        }
      />
      <EventInspector
        id={open}
        corrects={corrects}
        onOpen={(id) => setOpen(id)}
        onChanged={page.reload}
        {...(customersHref ? { customersHref } : {})}
      />
    </>
  )
}

const code = (text: string) => <IdText className="lg:max-w-28 xl:max-w-52">{text}</IdText>

const COLUMNS: ReadonlyArray<Column<UsageEvent>> = [
  {
    key: 'meter',
    header: t('events.column.meter'),
    cell: (event) => <span title={event.meter}>{event.meter_name}</span>,
  },
  { key: 'customer', header: t('events.column.customer'), cell: (event) => code(event.user_id) },
  {
    key: 'value',
    header: t('events.column.value'),
    align: 'right',
    cell: ({ state, value }) => <EventValue state={state} value={value} />,
  },
  {
    key: 'event_id',
    header: t('events.column.event_id'),
    hideOnCard: true,
    folds: true,
    cell: (event) =>
      event.event_id ? (
        <span className="flex max-w-36 font-mono text-xs xl:max-w-60" title={event.event_id}>
          {event.source ? <span className="max-w-24 shrink-0 truncate text-faint">{event.source} / </span> : null}
          <span className="truncate">{event.event_id.slice(0, -TAIL)}</span>
          <span className="shrink-0">{event.event_id.slice(-TAIL)}</span>
        </span>
      ) : (
        <span className="text-faint">–</span>
      ),
  },
  { key: 'state', header: t('events.column.state'), cell: (event) => <EventStateBadge state={event.state} /> },
  {
    key: 'occurred',
    header: t('events.column.occurred'),
    align: 'right',
    hideOnCard: true,
    cell: (event) => <Time value={event.occurred_at} />,
  },
  {
    key: 'received',
    header: t('events.column.received'),
    align: 'right',
    cell: (event) => <Time value={event.received_at} mode="relative" />,
  },
]

/** A filter that names one thing exactly: it takes effect on Enter and when the field is left. */
function ExactFilter({ list, name, label }: { list: ListState; name: string; label: string }) {
  const value = list.facets[name]?.[0] ?? ''
  const [draft, setDraft] = useState(value)
  useEffect(() => setDraft(value), [value])
  const commit = (event?: FormEvent) => {
    event?.preventDefault()
    if (draft.trim() !== value) list.setFacet(name, draft.trim() === '' ? [] : [draft.trim()])
  }
  return (
    <form method="dialog" onSubmit={commit} className="w-36">
      <Input
        aria-label={label}
        placeholder={label}
        value={draft}
        onChange={(event) => setDraft(event.target.value)}
        onBlur={() => commit()}
        autoComplete="off"
        spellCheck={false}
      />
    </form>
  )
}
