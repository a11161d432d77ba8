'use client'

import { useEffect } from 'react'
import type { NearCaps } from '@/features/overview/components/use-near-caps'
import type { ActiveCustomers } from '@/features/overview/schema'
import { addDays, addMonths } from '@/libs/metering/trend'
import { toQuery } from '@/libs/ui/api-client'
import { formatCompact, formatNumber } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import { changeOf, StatTile } from '@/libs/ui/stat-tile'
import { useApi } from '@/libs/ui/use-api'

type Daily = { data: ReadonlyArray<{ day: string; events: number }> }
type Sums = { data: ReadonlyArray<{ events: number }> }

const REFRESH_MS = 5_000
/** What changes little and, with hundreds of meters, takes long to find. */
const SLOW_REFRESH_MS = 60_000

/** The first day of the month before, and the day of it that this month has reached, both as `2026-10-01`. */
function monthBefore(today: string): { first: string; until: string } {
  const until = addMonths(today, -1)
  return { first: `${until.slice(0, 7)}-01`, until }
}

/** Events of today and of this month, customers who used something, customers near a cap. */
export function OverviewTiles({ today, near }: { today: string; near: NearCaps }) {
  const before = monthBefore(today)
  const month = today.slice(0, 7)
  // Days that are over change seldom; today is asked for again and again, and is a row per meter.
  const past = useApi<Daily>(`/usage/daily${toQuery({ from: before.first, to: today })}`, {
    refreshMs: SLOW_REFRESH_MS,
  })
  const running = useApi<Sums>(`/usage${toQuery({ from: today })}`, { refreshMs: REFRESH_MS })
  const active = useApi<ActiveCustomers>('/usage/active-customers', { refreshMs: SLOW_REFRESH_MS })
  const rows = past.data?.data ?? []
  const events = (wanted: (day: string) => boolean) =>
    rows.reduce((sum, row) => (wanted(row.day) ? sum + row.events : sum), 0)
  const yesterday = addDays(today, -1)
  const eventsToday = running.data?.data.reduce((sum, row) => sum + row.events, 0) ?? 0
  const thisMonth = eventsToday + events((day) => day.startsWith(month))
  const lastMonth = events((day) => day <= before.until)
  // The first event of all makes somebody active: that is seen at once, and not a minute later.
  const isFirst = eventsToday > 0 && active.data?.customers === 0
  const askAgain = active.reload
  useEffect(() => {
    if (isFirst) askAgain()
  }, [isFirst, askAgain])
  const failed = <span className="text-faint">–</span>

  return (
    <div className="grid grid-cols-2 gap-3 sm:gap-4 xl:grid-cols-4">
      <StatTile
        label={t('overview.tile.today')}
        value={running.data ? formatCompact(eventsToday) : failed}
        hint={
          past.data ? t('overview.tile.yesterday', { count: formatNumber(events((day) => day === yesterday)) }) : null
        }
        loading={running.loading}
      />
      <StatTile
        label={t('overview.tile.month')}
        value={past.data && running.data ? formatCompact(thisMonth) : failed}
        change={changeOf(thisMonth, lastMonth)}
        since={t('overview.tile.month_since')}
        hint={past.data && running.data ? t('overview.tile.month_first') : null}
        loading={past.loading || running.loading}
      />
      <StatTile
        label={t('overview.tile.active')}
        value={active.data ? formatNumber(active.data.customers) : failed}
        hint={t('overview.tile.active_hint')}
        loading={active.loading}
      />
      <StatTile
        label={t('overview.tile.near')}
        value={near.customers ? `${formatNumber(near.customers.length)}${near.more ? '+' : ''}` : failed}
        hint={t('overview.tile.near_hint')}
        loading={near.customers === undefined && !near.error}
      />
    </div>
  )
}
