'use client'

import { type ConnectorEvent, ConnectorName, EventStatus } from '@/features/connector-events/components/event-cells'
import { Button } from '@/libs/ui/button'
import { KeyValueList } from '@/libs/ui/card'
import { CopyText } from '@/libs/ui/copy-button'
import { formatNumber } from '@/libs/ui/format'
import { JsonView } from '@/libs/ui/json-view'
import { t } from '@/libs/ui/messages'
import { RowDrawer } from '@/libs/ui/row-drawer'
import { ExactTime } from '@/libs/ui/time'
import { toWords } from '@/libs/ui/words'

export type Narrow = { key: 'action' | 'user_id'; value: string }

/** One event in full: what was handed over, what came back, why it failed. */
export function EventDrawer({
  id,
  events,
  onOpen,
  onNarrow,
}: {
  /** Open while it is not null; one that is not on this page is fetched. */
  id: string | null
  events: readonly ConnectorEvent[]
  onOpen: (id: string | null) => void
  onNarrow: (filter: Narrow) => void
}) {
  return (
    <RowDrawer
      id={id}
      rows={events}
      path="/connector-events"
      words={{
        title: t('connector-events.event.title'),
        newer: t('connector-events.event.newer'),
        older: t('connector-events.event.older'),
        not_found: t('connector-events.event.not_found'),
      }}
      title={({ action }) => toWords(action)}
      description={({ action, status }) => (
        <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <code className="font-mono text-xs">{action}</code>
          <EventStatus status={status} />
        </span>
      )}
      onOpen={onOpen}
    >
      {(event) => <EventDetails event={event} onNarrow={onNarrow} />}
    </RowDrawer>
  )
}

function EventDetails({ event, onNarrow }: { event: ConnectorEvent; onNarrow: (filter: Narrow) => void }) {
  const more = (filter: Narrow, label: string) => (
    <Button variant="link" size="sm" onClick={() => onNarrow(filter)}>
      {label}
    </Button>
  )
  return (
    <div className="flex flex-col gap-6">
      {event.error ? (
        <section aria-label={t('connector-events.event.error')}>
          <h3 className="mb-2 font-medium text-sm">{t('connector-events.event.error')}</h3>
          <p className="break-words rounded-md bg-danger-soft px-3 py-2.5 font-mono text-danger-text text-xs leading-5">
            {event.error}
          </p>
        </section>
      ) : null}
      <section aria-label={t('connector-events.event.facts')}>
        <h3 className="mb-1 font-medium text-sm">{t('connector-events.event.facts')}</h3>
        <KeyValueList
          className="grid-cols-1"
          items={[
            { label: t('connector-events.column.status'), value: t(`connector-events.meaning.${event.status}`) },
            {
              label: t('connector-events.column.attempt'),
              value: event.attempts > 0 ? formatNumber(event.attempts) : t('connector-events.event.not_sent'),
            },
            { label: t('connector-events.column.connector'), value: <ConnectorName connector={event.connector} /> },
            {
              label: t('connector-events.direction.label'),
              value: t(`connector-events.direction.${event.direction}`),
            },
            { label: t('connector-events.column.target'), value: <CopyText value={event.target} /> },
            {
              label: t('connector-events.column.action'),
              value: more({ key: 'action', value: event.action }, t('connector-events.event.by_action')),
            },
            ...(event.user_id
              ? [
                  {
                    label: t('connector-events.event.user_id'),
                    value: (
                      <div className="flex flex-col items-start gap-0.5">
                        <CopyText value={event.user_id} />
                        {more({ key: 'user_id', value: event.user_id }, t('connector-events.event.by_user'))}
                      </div>
                    ),
                  },
                ]
              : []),
            { label: t('connector-events.column.time'), value: <ExactTime value={event.created_at} /> },
            ...(event.updated_at === event.created_at
              ? []
              : [{ label: t('connector-events.event.updated'), value: <ExactTime value={event.updated_at} /> }]),
            { label: t('connector-events.event.id'), value: <CopyText value={event.id} /> },
          ]}
        />
      </section>
      <JsonView label={t('connector-events.event.request')} value={event.request} />
      {event.response ? (
        <JsonView label={t('connector-events.event.response')} value={event.response} />
      ) : (
        <p className="text-faint text-sm">{t('connector-events.event.no_response')}</p>
      )}
    </div>
  )
}
