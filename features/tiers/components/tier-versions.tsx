'use client'

import { ArrowUpRight } from 'lucide-react'
import { useState } from 'react'
import { TierCaps, TierFeatures, TierHolders, tierPrice } from '@/features/tiers/components/tier-details'
import type { Tier, TierVersion } from '@/features/tiers/components/tier-form-values'
import type { Page } from '@/libs/ui/api-client'
import { Badge } from '@/libs/ui/badge'
import { Button } from '@/libs/ui/button'
import { ConfirmDialog } from '@/libs/ui/confirm-dialog'
import { type Column, DataTable } from '@/libs/ui/data-table'
import { t } from '@/libs/ui/messages'
import { Time } from '@/libs/ui/time'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch } from '@/libs/ui/use-api'
import { useFeatureNames, useMeterNames } from '@/libs/ui/use-names'

/** The versions of a tier, the newest first, and the way to move everybody to it. */
export function TierVersions({ tier, canMove, onMoved }: { tier: Tier; canMove: boolean; onMoved: () => void }) {
  const versions = useApi<Page<TierVersion>>(`/tiers/${tier.id}/versions?limit=200`, { whole: true })
  const api = useApiFetch()
  const meterOf = useMeterNames()
  const featureName = useFeatureNames()
  const [moving, setMoving] = useState(false)
  const version = tier.newest_version

  const columns: ReadonlyArray<Column<TierVersion>> = [
    {
      key: 'version',
      header: t('tiers.versions.column.version'),
      cell: (row) => (
        <span className="inline-flex items-center gap-2 whitespace-nowrap">
          {t('tiers.versions.number', { version: row.version })}
          {row.version === version ? <Badge tone="accent">{t('tiers.versions.newest')}</Badge> : null}
        </span>
      ),
    },
    { key: 'price', header: t('tiers.versions.column.price'), cell: (row) => tierPrice(row) },
    {
      key: 'caps',
      header: t('tiers.versions.column.caps'),
      cell: (row) => <TierCaps meterOf={meterOf} caps={row.usage_caps} />,
    },
    {
      key: 'features',
      header: t('tiers.versions.column.features'),
      cell: (row) => <TierFeatures nameOf={featureName} features={row.feature_entitlements} />,
    },
    {
      key: 'customers',
      header: t('tiers.versions.column.customers'),
      align: 'right',
      cell: (row) => (
        <TierHolders
          customers={row.customers}
          byDefault={row.version === tier.newest_version ? tier.customers_by_default : 0}
        />
      ),
    },
    {
      key: 'created',
      header: t('tiers.versions.column.created'),
      cell: (row) => <Time value={row.created_at} mode="date" />,
    },
  ]

  return (
    <section className="min-w-0">
      <header className="mb-3 flex flex-wrap items-end justify-between gap-x-4 gap-y-2">
        <div className="min-w-0">
          <h2 className="font-semibold text-base tracking-tight">{t('tiers.versions.title')}</h2>
          <p className="mt-0.5 text-faint text-sm">{t('tiers.versions.description')}</p>
        </div>
        {canMove && tier.customers_behind > 0 ? (
          <Button size="sm" icon={<ArrowUpRight />} onClick={() => setMoving(true)}>
            {t('tiers.versions.move', { version })}
          </Button>
        ) : null}
      </header>
      <DataTable
        label={t('tiers.versions.title')}
        columns={columns}
        rows={versions.data?.data}
        rowKey={(row) => String(row.version)}
        rowLabel={(row) => t('tiers.versions.number', { version: row.version })}
        loading={versions.loading}
        refreshing={versions.refreshing}
        error={versions.error}
        onRetry={versions.reload}
        skeletonRows={1}
      />
      <ConfirmDialog
        open={moving}
        onOpenChange={setMoving}
        title={t('tiers.versions.move_title', { version })}
        description={t('tiers.versions.move_description')}
        consequences={[{ label: t('tiers.versions.move_count'), count: tier.customers_behind }]}
        confirmLabel={t('tiers.versions.move_confirm')}
        onConfirm={async () => {
          const { moved } = await api<{ moved: number }>(`/tiers/${tier.id}/move`, {
            method: 'POST',
            body: {},
          })
          toast.success(t('tiers.versions.moved', { count: moved }))
          versions.reload()
          onMoved()
        }}
      />
    </section>
  )
}
