'use client'

import type { ReactNode } from 'react'
import { NearCapsCard } from '@/features/overview/components/near-caps-card'
import { OverviewTiles } from '@/features/overview/components/overview-tiles'
import { useNearCaps } from '@/features/overview/components/use-near-caps'
import { dayIn } from '@/libs/tenancy/zoned-day'
import { LinkButton } from '@/libs/ui/button'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { useNow, useTimeZone } from '@/libs/ui/time'

/** How the tenant does right now: first steps while there are some, figures, usage over time, who is near a cap. */
export function OverviewScreen({
  tenantName,
  base,
  seesUsage,
  seesCustomers,
  today: rendered,
  firstSteps,
  chart,
  events,
}: {
  tenantName: string
  base: string
  /** Without it there are no figures, no chart and no events. */
  seesUsage: boolean
  seesCustomers: boolean
  /** Today in the tenant's zone when the page was made; the clock of the page takes over. */
  today: string
  firstSteps: ReactNode
  chart: ReactNode
  events: ReactNode
}) {
  const now = useNow()
  const zone = useTimeZone()
  const today = now === 0 ? rendered : dayIn(zone, now)
  const near = useNearCaps(seesUsage)
  return (
    <>
      <PageHeader title={t('overview.title')} description={t('overview.description', { name: tenantName })} />
      <div className="flex flex-col gap-6">
        {firstSteps}
        {seesUsage ? (
          <>
            <OverviewTiles today={today} near={near} />
            {chart}
            <div className="grid grid-cols-1 items-start gap-6 xl:grid-cols-2">
              <NearCapsCard near={near} customersHref={seesCustomers ? `${base}/customers` : undefined} />
              <section className="min-w-0">
                <div className="mb-3 flex min-h-7 items-center justify-between gap-3">
                  <h2 className="font-semibold text-base tracking-tight">{t('usage.latest')}</h2>
                  <LinkButton href={`${base}/events`} variant="ghost" size="sm">
                    {t('overview.all_events')}
                  </LinkButton>
                </div>
                {events}
              </section>
            </div>
          </>
        ) : null}
      </div>
    </>
  )
}
