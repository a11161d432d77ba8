'use client'

import type { z } from 'zod'
import type { analyticsEvent } from '@/features/analytics-events/schema'
import { Button } from '@/libs/ui/button'
import { KeyValueList } from '@/libs/ui/card'
import { CopyText } from '@/libs/ui/copy-button'
import { formatDate } from '@/libs/ui/format'
import { JsonView } from '@/libs/ui/json-view'
import { t } from '@/libs/ui/messages'
import { RowDrawer } from '@/libs/ui/row-drawer'
import { ExactTime, Time, useTimeZone } from '@/libs/ui/time'

export type AnalyticsEvent = z.infer<typeof analyticsEvent>

export type Narrow = { key: 'event' | 'distinct_id'; value: string }

/** One event in full, with its properties. */
export function EventDrawer({
  id,
  events,
  onOpen,
  onNarrow,
}: {
  /** Open while it is not null; one that is not on this page is fetched. */
  id: string | null
  events: readonly AnalyticsEvent[]
  onOpen: (id: string | null) => void
  onNarrow: (filter: Narrow) => void
}) {
  return (
    <RowDrawer
      id={id}
      rows={events}
      path="/analytics-events"
      words={{
        title: t('analytics-events.event.title'),
        newer: t('analytics-events.event.newer'),
        older: t('analytics-events.event.older'),
        not_found: t('analytics-events.event.not_found'),
      }}
      title={({ event }) => event}
      description={({ occurred_at }) => <Time value={occurred_at} />}
      onOpen={onOpen}
    >
      {(event) => <EventDetails event={event} onNarrow={onNarrow} />}
    </RowDrawer>
  )
}

function EventDetails({ event, onNarrow }: { event: AnalyticsEvent; onNarrow: (filter: Narrow) => void }) {
  const timeZone = useTimeZone()
  const more = (filter: Narrow, label: string) => (
    <Button variant="link" size="sm" onClick={() => onNarrow(filter)}>
      {label}
    </Button>
  )
  return (
    <div className="flex flex-col gap-6">
      {Object.keys(event.properties).length > 0 ? (
        <JsonView label={t('analytics-events.event.properties')} value={event.properties} />
      ) : (
        <p className="text-faint text-sm">{t('analytics-events.event.no_properties')}</p>
      )}
      <section aria-label={t('analytics-events.event.facts')}>
        <h3 className="mb-1 font-medium text-sm">{t('analytics-events.event.facts')}</h3>
        <KeyValueList
          className="grid-cols-1"
          items={[
            {
              label: t('analytics-events.column.event'),
              value: (
                <div className="flex flex-col items-start gap-0.5">
                  <CopyText value={event.event} />
                  {more({ key: 'event', value: event.event }, t('analytics-events.event.by_event'))}
                </div>
              ),
            },
            {
              label: t('analytics-events.column.person'),
              value: (
                <div className="flex flex-col items-start gap-0.5">
                  <CopyText value={event.distinct_id} />
                  {more({ key: 'distinct_id', value: event.distinct_id }, t('analytics-events.event.by_person'))}
                </div>
              ),
            },
            { label: t('analytics-events.column.source'), value: t(`analytics-events.source.${event.source}`) },
            {
              label: t('analytics-events.column.time'),
              value: <ExactTime value={event.occurred_at} />,
            },
            { label: t('analytics-events.event.received'), value: formatDate(event.created_at, 'exact', timeZone) },
            ...(event.forwarded_at
              ? [
                  {
                    label: t('analytics-events.event.forwarded'),
                    value: formatDate(event.forwarded_at, 'exact', timeZone),
                  },
                ]
              : []),
            { label: t('analytics-events.event.id'), value: <CopyText value={event.id} /> },
          ]}
        />
      </section>
    </div>
  )
}
