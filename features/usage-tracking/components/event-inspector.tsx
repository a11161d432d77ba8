'use client'

import { Ban, Pencil } from 'lucide-react'
import { useState } from 'react'
import type { z } from 'zod'
import { AmendDialog } from '@/features/usage-tracking/components/amend-dialog'
import { CancelEvent } from '@/features/usage-tracking/components/cancel-event'
import { EventStateBadge } from '@/features/usage-tracking/components/event-state'
import type { usageEventDetail } from '@/features/usage-tracking/services/event-schema'
import { Button, TextLink } from '@/libs/ui/button'
import { KeyValueList } from '@/libs/ui/card'
import { CopyText } from '@/libs/ui/copy-button'
import { formatDate, formatExact } from '@/libs/ui/format'
import { JsonView } from '@/libs/ui/json-view'
import { t } from '@/libs/ui/messages'
import { Drawer } from '@/libs/ui/sheet'
import { TextSkeleton } from '@/libs/ui/skeleton'
import { ErrorState } from '@/libs/ui/states'
import { Time, useTimeZone } from '@/libs/ui/time'
import { useApi } from '@/libs/ui/use-api'

export type EventDetail = z.infer<typeof usageEventDetail>

/** One event in full: as sent, what it is part of, its history; to be cancelled or amended while it stands. */
export function EventInspector({
  id,
  customersHref,
  corrects,
  onOpen,
  onChanged,
}: {
  /** Open while it is not null. */
  id: string | null
  customersHref?: string
  corrects: boolean
  onOpen: (id: string | null) => void
  onChanged: () => void
}) {
  const [asked, setAsked] = useState<{ of: string; dialog: 'cancel' | 'amend' } | null>(null)
  const dialog = asked?.of === id ? asked?.dialog : null
  const ask = (next: 'cancel' | 'amend' | null) => setAsked(next && id ? { of: id, dialog: next } : null)
  const detail = useApi<EventDetail>(id === null ? null : `/usage/events/${id}`, { keepPrevious: false })
  const event = detail.data?.event
  const stands = event?.state === 'counted' || event?.state === 'filtered'
  const changed = () => {
    detail.reload()
    onChanged()
  }
  return (
    <Drawer
      open={id !== null}
      onOpenChange={(open) => !open && onOpen(null)}
      size="lg"
      title={event ? `${event.meter_name}, ${event.user_id}` : t('events.detail.facts')}
      description={event ? <EventStateBadge state={event.state} /> : null}
      actions={
        corrects && stands ? (
          <>
            <Button size="sm" icon={<Pencil />} onClick={() => ask('amend')}>
              {t('events.amend.action')}
            </Button>
            <Button size="sm" icon={<Ban />} onClick={() => ask('cancel')}>
              {t('events.cancel.action')}
            </Button>
          </>
        ) : null
      }
    >
      {detail.data ? (
        <EventSections detail={detail.data} customersHref={customersHref} onOpen={onOpen} />
      ) : detail.error ? (
        <ErrorState
          error={detail.error}
          {...(detail.error.status === 404 ? { title: t('events.detail.not_found') } : { onRetry: detail.reload })}
        />
      ) : (
        <TextSkeleton lines={10} />
      )}
      {event ? (
        <>
          <CancelEvent event={event} open={dialog === 'cancel'} onClose={() => ask(null)} onDone={changed} />
          <AmendDialog event={event} open={dialog === 'amend'} onClose={() => ask(null)} onDone={changed} />
        </>
      ) : null}
    </Drawer>
  )
}

function EventSections({
  detail,
  customersHref,
  onOpen,
}: {
  detail: EventDetail
  customersHref: string | undefined
  onOpen: (id: string) => void
}) {
  const { event, chain, moved, amount, unit } = detail
  return (
    <div className="flex flex-col gap-6">
      <p className="text-mute text-sm">{t(`events.state_hint.${event.state}`)}</p>
      <KeyValueList
        items={[
          {
            label: t('events.column.meter'),
            value: (
              <span className="wrap-anywhere">
                {event.meter_name} <code className="break-all font-mono text-faint text-xs">{event.meter}</code>
              </span>
            ),
          },
          {
            label: t('events.column.customer'),
            value: customersHref ? (
              <TextLink href={`${customersHref}/${event.customer_id}`}>{event.user_id}</TextLink>
            ) : (
              event.user_id
            ),
          },
          { label: t('events.column.value'), value: `${formatExact(event.value)} ${unit}`.trim() },
          { label: t('events.column.occurred'), value: <Time value={event.occurred_at} /> },
          { label: t('events.column.received'), value: <Time value={event.received_at} /> },
          {
            label: t('events.column.event_id'),
            value: event.event_id ? <CopyText value={event.event_id} /> : t('events.detail.none'),
          },
          { label: t('events.source'), value: event.source ?? t('events.detail.none') },
          { label: t('events.detail.id'), value: <CopyText value={event.id} /> },
        ]}
      />
      <section aria-label={t('events.detail.moved')}>
        <h3 className="mb-1 font-medium text-sm">{t('events.detail.moved')}</h3>
        <p className="mb-2 text-faint text-sm">
          {amount !== null && event.state === 'counted'
            ? t('events.detail.adds', { amount: `${formatExact(amount)} ${unit}`.trim() })
            : t('events.detail.moved_hint')}
        </p>
        {event.counted !== null ? (
          <p className="mb-2 text-sm">
            {t('events.detail.counted', {
              counted: formatExact(event.counted),
              value: formatExact(event.value),
            })}
          </p>
        ) : null}
        {moved.length > 0 ? <Totals moved={moved} /> : <p className="text-sm">{t('events.detail.no_totals')}</p>}
      </section>
      {chain.length > 1 ? (
        <section aria-label={t('events.detail.chain')}>
          <h3 className="mb-2 font-medium text-sm">{t('events.detail.chain')}</h3>
          <ol className="flex flex-col gap-2 border-line border-l pl-4">
            {chain.map((step) => (
              <li key={step.id} className="text-sm">
                <span className="flex flex-wrap items-center gap-x-2">
                  <span className="font-medium">{t(`events.detail.${stepOf(step)}`)}</span>
                  <span className="tabular text-mute">{formatExact(step.value)}</span>
                  <Time value={step.received_at} className="text-faint" />
                  {step.id === event.id ? (
                    <span className="text-faint text-xs">{t('events.detail.this')}</span>
                  ) : (
                    <Button variant="link" size="sm" onClick={() => onOpen(step.id)}>
                      {t('reconciliations.last.open')}
                    </Button>
                  )}
                </span>
              </li>
            ))}
          </ol>
        </section>
      ) : null}
      <JsonView label={t('events.detail.raw')} value={rawOf(event)} />
    </div>
  )
}

const stepOf = (step: EventDetail['event']) =>
  step.state === 'correction' ? 'chain_canceled' : step.corrects === null ? 'chain_sent' : 'chain_replaced'

/** The event as its sender would send it. */
function rawOf({ meter, user_id, value, event_id, source, occurred_at, properties }: EventDetail['event']): unknown {
  return {
    meter_id: meter,
    user_id,
    event_value: value,
    ...(event_id === null ? {} : { event_id }),
    ...(source === null ? {} : { source }),
    timestamp: occurred_at,
    ...(properties === null ? {} : { properties }),
  }
}

function Totals({ moved }: { moved: EventDetail['moved'] }) {
  const zone = useTimeZone()
  return (
    <dl className="divide-y divide-line rounded-lg border bg-sunken text-sm">
      {moved.map(({ scope, starts_at, used, events, group }) => (
        <div key={scope} className="flex flex-wrap items-baseline justify-between gap-x-4 gap-y-1 px-3 py-2">
          <dt className="min-w-0 break-words text-mute">
            {t(`events.detail.scope.${scope}`, {
              start:
                scope === 'quarter'
                  ? formatDate(starts_at, 'datetime', zone)
                  : formatDate(`${starts_at}T00:00:00Z`, 'date'),
              group: Object.entries(group ?? {})
                .map(([name, value]) => `${name}=${value ?? '–'}`)
                .join(', '),
            })}
          </dt>
          <dd className="tabular">
            <span className="font-medium">{formatExact(used)}</span>{' '}
            <span className="text-faint">{t('events.detail.events', { count: events })}</span>
          </dd>
        </div>
      ))}
    </dl>
  )
}
