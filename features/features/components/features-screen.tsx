'use client'

import { Archive, ArchiveRestore, Pencil, Plus, Puzzle } from 'lucide-react'
import { useState } from 'react'
import { FeatureDialog } from '@/features/features/components/feature-dialog'
import { FeatureDrawer, type TierUse } from '@/features/features/components/feature-drawer'
import { UnnamedKeys } from '@/features/features/components/unnamed-keys'
import { type Feature, useArchiveFeature } from '@/features/features/components/use-archive-feature'
import type { Page } from '@/libs/ui/api-client'
import { ArchivedFilter } from '@/libs/ui/archived-filter'
import { Badge } from '@/libs/ui/badge'
import { Button } from '@/libs/ui/button'
import { CodeSnippet } from '@/libs/ui/code-snippet'
import type { Column } from '@/libs/ui/data-table'
import { FilterBar } from '@/libs/ui/filter-bar'
import { httpSnippets } from '@/libs/ui/http-snippets'
import { useListState } from '@/libs/ui/list-state'
import { ListTable } from '@/libs/ui/list-table'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { EmptyState } from '@/libs/ui/states'
import { Time } from '@/libs/ui/time'
import { useApi } from '@/libs/ui/use-api'
import { useEditDialog } from '@/libs/ui/use-edit-dialog'
import { useOpenRow } from '@/libs/ui/use-open-row'

type Tier = TierUse & { feature_entitlements: readonly { key: string }[] }

/** The features of the tenant: what customers can be entitled to, by name. `base` is the address of the dashboard. */
export function FeaturesScreen({
  base,
  featuresUrl,
  canWrite,
}: {
  base: string
  featuresUrl: string
  canWrite: boolean
}) {
  const list = useListState(['archived'])
  const page = useApi<Page<Feature>>(`/features${list.query}`)
  const tiers = useApi<Page<Tier>>('/tiers?limit=200', { whole: true })
  const named = useApi<Page<Feature>>(canWrite ? '/features?limit=200' : null, { whole: true })
  const dialog = useEditDialog<Feature>(t('features.create'), canWrite)
  const [startKey, setStartKey] = useState('')
  const [shown, setShown] = useOpenRow('feature')
  const reload = () => {
    page.reload()
    named.reload()
  }
  const archive = useArchiveFeature(reload)
  const create = (key: string) => {
    setStartKey(key)
    dialog.create()
  }
  const close = () => {
    dialog.close()
    setStartKey('')
  }

  const tiersOf = ({ key, archived_at }: Feature) =>
    archived_at
      ? []
      : (tiers.data?.data ?? []).filter((tier) => tier.feature_entitlements.some((each) => each.key === key))

  const columns: ReadonlyArray<Column<Feature>> = [
    {
      key: 'name',
      header: t('features.column.name'),
      sortValue: (feature) => feature.name,
      cell: (feature) => (
        <span className="wrap-anywhere inline-flex flex-col">
          <span className="inline-flex items-center gap-2">
            {feature.name}
            {feature.archived_at ? <Badge>{t('features.is_archived')}</Badge> : null}
          </span>
          <code className="font-mono font-normal text-faint text-xs">{feature.key}</code>
        </span>
      ),
    },
    {
      key: 'meter',
      header: t('features.column.meter'),
      sortValue: (feature) => feature.meter?.name ?? null,
      cell: (feature) =>
        feature.meter ? (
          <span className="wrap-anywhere inline-flex flex-col">
            {feature.meter.name}
            <code className="font-mono text-faint text-xs">{feature.meter.slug}</code>
          </span>
        ) : (
          <span className="text-faint">{t('features.no_meter')}</span>
        ),
    },
    {
      key: 'tiers',
      header: t('features.column.tiers'),
      cell: (feature) => {
        const names = tiersOf(feature).map(({ name }) => name)
        return names.length > 0 ? (
          <span className="wrap-anywhere">{names.join(', ')}</span>
        ) : (
          <span className="text-faint">{t('features.no_tiers')}</span>
        )
      },
    },
    {
      key: 'created',
      header: t('features.column.created'),
      align: 'right',
      sortValue: (feature) => feature.created_at,
      cell: (feature) => <Time value={feature.created_at} mode="date" />,
    },
  ]

  const button = canWrite ? (
    <Button variant="primary" icon={<Plus />} onClick={() => create('')}>
      {t('features.create')}
    </Button>
  ) : null

  return (
    <>
      <PageHeader title={t('features.title')} description={t('features.description')} actions={button} />
      <FilterBar list={list} search={t('features.search')}>
        <ArchivedFilter
          list={list}
          label={t('features.show')}
          active={t('features.show_active')}
          archived={t('features.show_archived')}
        />
      </FilterBar>
      {canWrite && page.data ? <UnnamedKeys keys={unnamedKeys(tiers.data, named.data)} onName={create} /> : null}
      <ListTable
        label={t('features.title')}
        list={list}
        // Which tiers have them, and what is to be named above them, comes with them and moves nothing.
        page={{ ...page, loading: page.loading || tiers.loading || named.loading }}
        columns={columns}
        rowKey={(feature) => feature.id}
        rowLabel={(feature) => feature.name}
        onRowOpen={(feature) => setShown(feature.id)}
        actions={
          canWrite
            ? (feature) =>
                feature.archived_at
                  ? [
                      {
                        label: t('features.restore'),
                        icon: <ArchiveRestore />,
                        onSelect: () => archive(feature, false),
                      },
                    ]
                  : [
                      { label: t('features.edit'), icon: <Pencil />, onSelect: () => dialog.edit(feature) },
                      { label: t('features.archive'), icon: <Archive />, onSelect: () => archive(feature, true) },
                    ]
            : undefined
        }
        skeletonRows={4}
        empty={
          <EmptyState
            icon={<Puzzle />}
            title={t('features.empty.title')}
            description={t(canWrite ? 'features.empty.description' : 'features.empty.read_only')}
            action={button}
          >
            {canWrite ? (
              <CodeSnippet
                label={t('features.empty.snippet')}
                snippets={httpSnippets({
                  method: 'POST',
                  url: featuresUrl,
                  body: { key: 'custom_domain', name: 'Custom domain' },
                })}
              />
            ) : null}
          </EmptyState>
        }
      />
      <FeatureDialog
        open={dialog.open}
        feature={dialog.target}
        startKey={startKey}
        onOpenChange={(next) => !next && close()}
        onSaved={() => {
          close()
          reload()
        }}
      />
      <FeatureDrawer id={shown} features={page.data?.data ?? []} tiersOf={tiersOf} base={base} onOpen={setShown} />
    </>
  )
}

/** Keys that tiers use and no feature has; none while one of the lists is not there. */
function unnamedKeys(tiers: Page<Tier> | undefined, named: Page<Feature> | undefined): string[] {
  if (!tiers || !named) return []
  const known = new Set(named.data.map(({ key }) => key))
  const used = new Set(tiers.data.flatMap(({ feature_entitlements }) => feature_entitlements.map(({ key }) => key)))
  return [...used].filter((key) => !known.has(key)).sort()
}
