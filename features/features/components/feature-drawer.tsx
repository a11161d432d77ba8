'use client'

import Link from 'next/link'
import type { Feature } from '@/features/features/components/use-archive-feature'
import { Badge } from '@/libs/ui/badge'
import { KeyValueList } from '@/libs/ui/card'
import { CopyText } from '@/libs/ui/copy-button'
import { JsonView } from '@/libs/ui/json-view'
import { t } from '@/libs/ui/messages'
import { RowDrawer } from '@/libs/ui/row-drawer'
import { Time } from '@/libs/ui/time'

export type TierUse = { id: string; name: string }

/** One feature in full: its meter, the tiers it is in, and what else is noted about it. */
export function FeatureDrawer({
  id,
  features,
  tiersOf,
  base,
  onOpen,
}: {
  /** Open while it is not null; one that is not on this page is fetched. */
  id: string | null
  features: readonly Feature[]
  tiersOf: (feature: Feature) => readonly TierUse[]
  /** Address of the tenant's dashboard. */
  base: string
  onOpen: (id: string | null) => void
}) {
  return (
    <RowDrawer
      id={id}
      rows={features}
      path="/features"
      words={{
        title: t('features.title'),
        newer: t('features.detail.above'),
        older: t('features.detail.below'),
        not_found: t('features.detail.not_found'),
      }}
      title={({ name }) => name}
      description={({ archived_at }) => (archived_at ? <Badge>{t('features.is_archived')}</Badge> : null)}
      onOpen={onOpen}
    >
      {(feature) => <FeatureDetails feature={feature} tiers={tiersOf(feature)} base={base} />}
    </RowDrawer>
  )
}

function FeatureDetails({ feature, tiers, base }: { feature: Feature; tiers: readonly TierUse[]; base: string }) {
  return (
    <div className="flex flex-col gap-6">
      <KeyValueList
        items={[
          { label: t('features.detail.key'), value: <CopyText value={feature.key} /> },
          {
            label: t('features.detail.meter'),
            value: feature.meter ? (
              <Link
                href={`${base}/meters/${encodeURIComponent(feature.meter.slug)}`}
                className="text-accent-text hover:underline"
              >
                {feature.meter.name}
              </Link>
            ) : (
              <span className="text-faint">{t('features.no_meter')}</span>
            ),
          },
          {
            label: t('features.detail.tiers'),
            value:
              tiers.length > 0 ? (
                <ul>
                  {tiers.map(({ id, name }) => (
                    <li key={id}>
                      <Link href={`${base}/tiers/${id}`} className="text-accent-text hover:underline">
                        {name}
                      </Link>
                    </li>
                  ))}
                </ul>
              ) : (
                <span className="text-faint">{t('features.no_tiers')}</span>
              ),
          },
          { label: t('features.detail.created'), value: <Time value={feature.created_at} /> },
          ...(feature.archived_at
            ? [{ label: t('features.detail.archived'), value: <Time value={feature.archived_at} /> }]
            : []),
          { label: t('features.detail.id'), value: <CopyText value={feature.id} /> },
        ]}
      />
      {Object.keys(feature.metadata).length > 0 ? (
        <JsonView label={t('features.detail.metadata')} value={feature.metadata} />
      ) : null}
    </div>
  )
}
