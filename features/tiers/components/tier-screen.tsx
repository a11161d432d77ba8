'use client'

import { TierForm } from '@/features/tiers/components/tier-form'
import type { Tier } from '@/features/tiers/components/tier-form-values'
import { TierVersions } from '@/features/tiers/components/tier-versions'
import { Badge } from '@/libs/ui/badge'
import { Card } from '@/libs/ui/card'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { Loading, Skeleton } from '@/libs/ui/skeleton'
import { ErrorState } from '@/libs/ui/states'
import { useApi } from '@/libs/ui/use-api'

/** The page of a new tier. */
export function NewTierScreen({ listHref }: { listHref: string }) {
  return (
    <div className="max-w-4xl">
      <PageHeader
        title={t('tiers.form.new_title')}
        description={t('tiers.form.new_description')}
        breadcrumbs={[{ label: t('tiers.title'), href: listHref }, { label: t('tiers.form.new_title') }]}
      />
      <TierForm tier={null} listHref={listHref} readOnly={false} />
    </div>
  )
}

/** The page of one tier: the form for those who may change it, the same to look at for others. */
export function TierScreen({ id, listHref, canWrite }: { id: string; listHref: string; canWrite: boolean }) {
  const state = useApi<Tier>(`/tiers/${encodeURIComponent(id)}`)
  const tier = state.data
  const holders = tier ? tier.customers + tier.customers_by_default : 0
  const title = tier?.name ?? t('tiers.column.name')
  return (
    <div className="max-w-4xl">
      <PageHeader
        title={title}
        description={
          tier && holders > 0
            ? `${t('tiers.form.in_use', { count: holders })} ${t('tiers.form.edit_description')}`
            : undefined
        }
        breadcrumbs={[{ label: t('tiers.title'), href: listHref }, { label: title }]}
        badge={
          <>
            {tier?.is_default ? <Badge tone="accent">{t('tiers.default')}</Badge> : null}
            {tier?.archived_at ? <Badge>{t('tiers.is_archived')}</Badge> : null}
          </>
        }
      />
      {tier ? (
        <div className="flex flex-col gap-8">
          <TierForm
            key={`${tier.id} ${tier.version}`}
            tier={tier}
            listHref={listHref}
            readOnly={!canWrite || tier.archived_at !== null}
          />
          <TierVersions tier={tier} canMove={canWrite} onMoved={state.reload} />
        </div>
      ) : state.error ? (
        <Card>
          <ErrorState
            error={state.error}
            {...(state.error.status === 404 ? { title: t('tiers.not_found') } : { onRetry: state.reload })}
          />
        </Card>
      ) : (
        <Loading className="flex flex-col gap-6">
          <Skeleton className="h-80" />
          <Skeleton className="h-44" />
          <Skeleton className="h-32" />
        </Loading>
      )}
    </div>
  )
}
