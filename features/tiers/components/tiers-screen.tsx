'use client'

import { Archive, ArchiveRestore, Layers, Pencil, Plus, Star } from 'lucide-react'
import { useRouter } from 'next/navigation'
import { TierCaps, TierFeatures, TierHolders, tierPrice } from '@/features/tiers/components/tier-details'
import type { Tier } from '@/features/tiers/components/tier-form-values'
import type { Page } from '@/libs/ui/api-client'
import { ArchivedFilter } from '@/libs/ui/archived-filter'
import { Badge } from '@/libs/ui/badge'
import { LinkButton } from '@/libs/ui/button'
import { CodeSnippet } from '@/libs/ui/code-snippet'
import type { Column } from '@/libs/ui/data-table'
import { FilterBar } from '@/libs/ui/filter-bar'
import { httpSnippets } from '@/libs/ui/http-snippets'
import { useListState } from '@/libs/ui/list-state'
import { ListTable } from '@/libs/ui/list-table'
import type { MenuEntry } from '@/libs/ui/menu'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { useShortcut } from '@/libs/ui/shortcuts'
import { EmptyState } from '@/libs/ui/states'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch, useMutation } from '@/libs/ui/use-api'
import { useFeatureNames, useMeterNames } from '@/libs/ui/use-names'

/** The tiers of the tenant: what each costs, caps and includes. `base` is the address of the list. */
export function TiersScreen({ base, tiersUrl, canWrite }: { base: string; tiersUrl: string; canWrite: boolean }) {
  const list = useListState(['archived'])
  const page = useApi<Page<Tier>>(`/tiers${list.query}`)
  const api = useApiFetch()
  const router = useRouter()
  const meterOf = useMeterNames()
  const featureName = useFeatureNames()
  useShortcut('n', t('tiers.create'), () => canWrite && router.push(`${base}/new`))

  const archive = useMutation(
    ({ tier, on }: { tier: Tier; on: boolean }, options) =>
      api<Tier>(`/tiers/${tier.id}`, { method: 'PATCH', body: { archived: on }, ...options }),
    {
      onSuccess: (_, { tier, on }) => {
        page.reload()
        if (on) toast.undo(t('tiers.archived', { name: tier.name }), () => void archive.run({ tier, on: false }))
        else toast.success(t('tiers.restored', { name: tier.name }))
      },
      onError: (problem) => toast.problem(problem),
      rows: true,
    },
  )
  const makeDefault = useMutation(
    (tier: Tier, options) =>
      api<Tier>(`/tiers/${tier.id}`, { method: 'PATCH', body: { is_default: true }, ...options }),
    {
      onSuccess: (tier) => {
        page.reload()
        toast.success(t('tiers.default_set', { name: tier.name }))
      },
      onError: (problem) => toast.problem(problem),
      rows: true,
    },
  )

  const columns: ReadonlyArray<Column<Tier>> = [
    {
      key: 'name',
      header: t('tiers.column.name'),
      sortValue: (tier) => tier.name,
      cell: (tier) => (
        <span className="inline-flex flex-wrap items-center gap-2">
          {tier.name}
          {tier.is_default ? <Badge tone="accent">{t('tiers.default')}</Badge> : null}
          {tier.archived_at ? <Badge>{t('tiers.is_archived')}</Badge> : null}
        </span>
      ),
    },
    {
      key: 'price',
      header: t('tiers.column.price'),
      sortValue: (tier) => tier.price_minor / (tier.billing_interval === 'year' ? 12 : 1),
      cell: (tier) => <span className="whitespace-nowrap">{tierPrice(tier)}</span>,
      folds: true,
    },
    {
      key: 'caps',
      header: t('tiers.column.caps'),
      cell: (tier) => <TierCaps meterOf={meterOf} caps={tier.usage_caps} />,
    },
    {
      key: 'features',
      header: t('tiers.column.features'),
      cell: (tier) => <TierFeatures nameOf={featureName} features={tier.feature_entitlements} />,
    },
    {
      key: 'customers',
      header: t('tiers.column.customers'),
      align: 'right',
      sortValue: (tier) => tier.customers + tier.customers_by_default,
      cell: (tier) => <TierHolders customers={tier.customers} byDefault={tier.customers_by_default} />,
      folds: true,
    },
  ]

  function actions(tier: Tier): MenuEntry[] {
    if (!canWrite) return []
    if (tier.archived_at) {
      return [
        { label: t('tiers.restore'), icon: <ArchiveRestore />, onSelect: () => void archive.run({ tier, on: false }) },
      ]
    }
    return [
      { label: t('tiers.edit'), icon: <Pencil />, href: `${base}/${tier.id}` },
      ...(tier.is_default
        ? []
        : [{ label: t('tiers.make_default'), icon: <Star />, onSelect: () => void makeDefault.run(tier) }]),
      {
        label: t('tiers.archive'),
        icon: <Archive />,
        disabled: tier.customers > 0 || tier.is_default,
        ...(tier.customers > 0
          ? { hint: t('tiers.in_use', { count: tier.customers }) }
          : tier.is_default
            ? { hint: t('tiers.default_stays') }
            : {}),
        onSelect: () => void archive.run({ tier, on: true }),
      },
    ]
  }

  const create = canWrite ? (
    <LinkButton href={`${base}/new`} variant="primary" icon={<Plus />}>
      {t('tiers.create')}
    </LinkButton>
  ) : null

  return (
    <>
      <PageHeader title={t('tiers.title')} description={t('tiers.description')} actions={create} />
      <FilterBar list={list} search={t('tiers.search')}>
        <ArchivedFilter
          list={list}
          label={t('tiers.show')}
          active={t('tiers.show_active')}
          archived={t('tiers.show_archived')}
        />
      </FilterBar>
      <ListTable
        label={t('tiers.title')}
        list={list}
        page={page}
        columns={columns}
        rowKey={(tier) => tier.id}
        rowLabel={(tier) => tier.name}
        rowHref={(tier) => `${base}/${tier.id}`}
        actions={actions}
        skeletonRows={4}
        empty={
          <EmptyState
            icon={<Layers />}
            title={t('tiers.empty.title')}
            description={t(canWrite ? 'tiers.empty.description' : 'tiers.empty.read_only')}
            action={create}
          >
            {canWrite ? (
              <CodeSnippet
                label={t('tiers.empty.snippet')}
                snippets={httpSnippets({
                  method: 'POST',
                  url: tiersUrl,
                  body: {
                    name: 'Professional',
                    price: 49.99,
                    usage_caps: { api_calls: 100_000 },
                    feature_entitlements: ['custom_domain'],
                  },
                })}
              />
            ) : null}
          </EmptyState>
        }
      />
    </>
  )
}
