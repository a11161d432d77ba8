'use client'

import type { TenantStats } from '@/features/operator/components/operator-tenant'
import { Banner } from '@/libs/ui/banner'
import { Button } from '@/libs/ui/button'
import { formatNumber, formatPercent } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import { StatTile } from '@/libs/ui/stat-tile'
import type { ApiState } from '@/libs/ui/use-api'

/** Figures over all tenants, above the list. */
export function TenantStatsTiles({ state }: { state: ApiState<TenantStats> }) {
  const stats = state.data
  if (state.error && !stats)
    return (
      <Banner
        tone="warning"
        title={t('operator.stats.failed')}
        className="mb-6"
        actions={<Button onClick={state.reload}>{t('ui.retry')}</Button>}
      />
    )
  const created = stats?.created_per_day.reduce((sum, { count }) => sum + count, 0) ?? 0
  const today = stats?.created_per_day.at(-1)?.count ?? 0
  const tiles = [
    { label: t('operator.stats.total'), value: formatNumber(stats?.total ?? 0), hint: null },
    {
      label: t('operator.stats.active'),
      value: formatNumber(stats?.by_status.active ?? 0),
      hint: t('operator.stats.active_hint', { pending: stats?.by_status.pending ?? 0 }),
    },
    {
      label: t('operator.stats.suspended'),
      value: formatNumber(stats?.suspensions.present ?? 0),
      hint: t('operator.stats.suspended_hint', { count: stats?.suspensions.last_30_days ?? 0 }),
    },
    {
      label: t('operator.stats.created'),
      value: formatNumber(created),
      hint: t('operator.stats.created_hint', { count: today }),
    },
    {
      label: t('operator.stats.onboarding'),
      value: formatPercent(stats?.onboarding.rate ?? 0),
      hint: t('operator.stats.onboarding_hint', {
        completed: stats?.onboarding.completed ?? 0,
        started: stats?.onboarding.started ?? 0,
      }),
    },
  ]
  return (
    <section
      aria-label={t('operator.stats.label')}
      className="mb-6 grid grid-cols-2 gap-3 md:grid-cols-3 xl:grid-cols-5"
    >
      {tiles.map(({ label, value, hint }) => (
        <StatTile key={label} label={label} value={value} hint={hint} loading={!stats} />
      ))}
    </section>
  )
}
