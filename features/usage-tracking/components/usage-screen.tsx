'use client'

import { parseAsString, useQueryState } from 'nuqs'
import { useExplorerState } from '@/features/usage-tracking/components/explorer-state'
import { UsageEvents } from '@/features/usage-tracking/components/usage-events'
import { UsageExplorer } from '@/features/usage-tracking/components/usage-explorer'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'

/** All usage of the tenant: over time, by meter or customer, and the events themselves, of the meter and customer chosen. */
export function UsageScreen({
  trackUrl,
  customersHref,
  listsMeters,
}: {
  /** Where usage is sent, absolute. */
  trackUrl: string
  customersHref?: string
  listsMeters: boolean
}) {
  const [meter] = useQueryState('meter', parseAsString)
  const { customers } = useExplorerState()
  // Events are of one customer or of all.
  const customer = meter && customers.length === 1 ? customers[0] : undefined
  return (
    <>
      <PageHeader title={t('usage.title')} description={t('usage.description')} />
      <div className="flex flex-col gap-8">
        <UsageExplorer refreshMs={5_000} listsMeters={listsMeters} figures />
        <UsageEvents
          key={`${meter} ${customer}`}
          heading={t('usage.latest')}
          refreshMs={5_000}
          limit={20}
          trackUrl={trackUrl}
          {...(meter ? { meter } : {})}
          {...(customer ? { customer } : {})}
          {...(customersHref ? { customersHref } : {})}
        />
      </div>
    </>
  )
}
