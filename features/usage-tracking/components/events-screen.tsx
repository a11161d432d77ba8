'use client'

import { parseAsStringLiteral, useQueryState } from 'nuqs'
import { EventList } from '@/features/usage-tracking/components/event-list'
import { RefusedEvents } from '@/features/usage-tracking/components/refused-events'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { Tabs } from '@/libs/ui/tabs'

const TABS = ['received', 'refused'] as const

/** Every event as it came in, live: filters, each one in full with its corrections, and those that were refused. */
export function EventsScreen({
  trackUrl,
  customersHref,
  listsMeters,
  corrects,
}: {
  /** Where usage is sent, absolute. */
  trackUrl: string
  customersHref?: string
  listsMeters: boolean
  /** Whether events may be cancelled and amended here. */
  corrects: boolean
}) {
  const [tab, setTab] = useQueryState('tab', parseAsStringLiteral(TABS).withDefault('received'))
  return (
    <>
      <PageHeader title={t('events.title')} description={t('events.description')} />
      <Tabs
        label={t('events.title')}
        value={tab}
        onValueChange={(next) => void setTab(next)}
        tabs={[
          {
            value: 'received',
            label: t('events.tab.received'),
            content: (
              <EventList
                trackUrl={trackUrl}
                listsMeters={listsMeters}
                corrects={corrects}
                {...(customersHref ? { customersHref } : {})}
              />
            ),
          },
          { value: 'refused', label: t('events.tab.refused'), content: <RefusedEvents /> },
        ]}
      />
    </>
  )
}
