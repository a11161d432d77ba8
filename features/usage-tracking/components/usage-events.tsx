'use client'

import { Activity } from 'lucide-react'
import { useMemo, useState } from 'react'
import type { z } from 'zod'
import { EventInspector } from '@/features/usage-tracking/components/event-inspector'
import { EventStateBadge, EventValue } from '@/features/usage-tracking/components/event-state'
import { TrackSnippet } from '@/features/usage-tracking/components/track-snippet'
import type { usageEvent } from '@/features/usage-tracking/services/event-schema'
import { type Page, toQuery } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { type Column, DataTable } from '@/libs/ui/data-table'
import { IdText } from '@/libs/ui/id-text'
import { t } from '@/libs/ui/messages'
import { EmptyState } from '@/libs/ui/states'
import { Time } from '@/libs/ui/time'
import { useApi } from '@/libs/ui/use-api'

type UsageEvent = z.infer<typeof usageEvent>

/** The latest usage events, of one meter or one customer when they are given; each one opens in full. */
export function UsageEvents({
  meter,
  customer,
  customersHref,
  refreshMs,
  limit = 10,
  compact = false,
  heading,
  trackUrl,
}: {
  meter?: string
  customer?: string
  /** A heading above the list; with one, nothing at all is shown of a meter or customer that is not there. */
  heading?: string
  /** Where customers are; their ids become links. */
  customersHref?: string
  refreshMs?: number
  limit?: number
  /** Only the newest, without properties and without the way to older ones. */
  compact?: boolean
  /** Where usage is sent, absolute: how to send some is shown while there is none. */
  trackUrl?: string
}) {
  // Older pages follow below each other; the first one is asked again while one looks.
  const [cursors, setCursors] = useState<readonly string[]>([])
  const [open, setOpen] = useState<string | null>(null)
  const cursor = cursors.at(-1) ?? null
  const page = useApi<Page<UsageEvent>>(
    `/usage/events${toQuery({ meter, customer, limit, cursor })}`,
    refreshMs && cursor === null ? { refreshMs } : {},
  )
  const columns = useMemo(() => eventColumns({ meter, customer, compact }), [meter, customer, compact])
  const missing = page.error?.status === 404
  if (missing && heading) return null
  return (
    <section className="min-w-0">
      {heading ? <h2 className="mb-3 font-semibold text-base tracking-tight">{heading}</h2> : null}
      <DataTable
        label={t('usage.latest')}
        columns={columns}
        rows={missing ? [] : page.data?.data}
        rowKey={(event) => event.id}
        rowLabel={(event) => `${event.meter_name}, ${event.user_id}`}
        onRowOpen={(event) => setOpen(event.id)}
        loading={page.loading}
        refreshing={page.refreshing && !refreshMs}
        // A meter or customer that is not there has no events.
        error={missing ? null : page.error}
        onRetry={page.reload}
        skeletonRows={limit}
        empty={
          <EmptyState icon={<Activity />} title={t('usage.no_events')} description={t('usage.no_events_hint')}>
            {trackUrl ? <TrackSnippet url={trackUrl} /> : null}
          </EmptyState>
        }
        footer={
          !compact && (cursors.length > 0 || page.data?.next_cursor) ? (
            <nav aria-label={t('ui.pager.label')} className="flex justify-end gap-2">
              <Button size="sm" disabled={cursors.length === 0} onClick={() => setCursors(cursors.slice(0, -1))}>
                {t('usage.newer')}
              </Button>
              <Button
                size="sm"
                disabled={!page.data?.next_cursor || page.refreshing}
                onClick={() => page.data?.next_cursor && setCursors([...cursors, page.data.next_cursor])}
              >
                {t('usage.older')}
              </Button>
            </nav>
          ) : null
        }
      />
      <EventInspector
        id={open}
        corrects={false}
        onOpen={setOpen}
        onChanged={page.reload}
        {...(customersHref ? { customersHref } : {})}
      />
    </section>
  )
}

function eventColumns({
  meter,
  customer,
  compact,
}: {
  meter?: string
  customer?: string
  compact: boolean
}): ReadonlyArray<Column<UsageEvent>> {
  const columns: Array<Column<UsageEvent>> = []
  if (!meter) {
    columns.push({
      key: 'meter',
      header: t('usage.meter'),
      cell: (event) => <span title={event.meter}>{event.meter_name}</span>,
    })
  }
  if (!customer) {
    columns.push({
      key: 'customer',
      header: t('usage.customer'),
      cell: (event) => <IdText {...(compact ? { className: 'sm:max-w-24 2xl:max-w-36' } : {})}>{event.user_id}</IdText>,
    })
  }
  columns.push({
    key: 'value',
    header: t('usage.value'),
    align: 'right',
    cell: ({ state, value }) => (
      <span className="inline-flex flex-wrap items-center justify-end gap-2">
        {state === 'counted' ? null : <EventStateBadge state={state} />}
        <EventValue state={state} value={value} />
      </span>
    ),
  })
  if (!compact) {
    columns.push({
      key: 'properties',
      header: t('usage.properties'),
      hideOnCard: true,
      folds: true,
      cell: (event) => (
        <span className="block max-w-72 truncate font-mono text-faint text-xs">
          {event.properties && Object.keys(event.properties).length > 0 ? JSON.stringify(event.properties) : '–'}
        </span>
      ),
    })
  }
  if (!compact) {
    columns.push({
      key: 'occurred',
      header: t('usage.occurred'),
      align: 'right',
      cell: (event) => <Time value={event.occurred_at} />,
    })
  }
  columns.push({
    key: 'received',
    header: t('usage.received'),
    align: 'right',
    cell: (event) => <Time value={event.received_at} mode="relative" />,
  })
  return columns
}
