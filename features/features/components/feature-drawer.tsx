'use client'

import Link from 'next/link'
import type { Feature } from '@/features/features/components/use-archive-feature'
import { Badge } from '@/libs/ui/badge'
import { KeyValueList } from '@/libs/ui/card'
import { CopyText } from '@/libs/ui/copy-button'
import { JsonView } from '@/libs/ui/json-view'
import { t } from '@/libs/ui/messages'
import { Drawer } from '@/libs/ui/sheet'
import { Time } from '@/libs/ui/time'

export type TierUse = { id: string; name: string }

/** One feature in full: its meter, the tiers it is in, and what else is noted about it. */
export function FeatureDrawer({
  feature,
  tiers,
  base,
  onClose,
}: {
  feature: Feature | null
  tiers: readonly TierUse[]
  /** Address of the tenant's dashboard. */
  base: string
  onClose: () => void
}) {
  return (
    <Drawer
      open={feature !== null}
      onOpenChange={(open) => !open && onClose()}
      title={feature?.name ?? t('features.title')}
      description={feature?.archived_at ? <Badge>{t('features.is_archived')}</Badge> : null}
    >
      {feature ? (
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
      ) : null}
    </Drawer>
  )
}
