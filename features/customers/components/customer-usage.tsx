'use client'

import type { z } from 'zod'
import type { entitlements, usageLine } from '@/features/customers/schema'
import { Badge } from '@/libs/ui/badge'
import { Card } from '@/libs/ui/card'
import { t } from '@/libs/ui/messages'
import { Loading, Skeleton } from '@/libs/ui/skeleton'
import { ErrorState } from '@/libs/ui/states'
import { useNow } from '@/libs/ui/time'
import { projectUsage, UsageBar } from '@/libs/ui/usage-bar'
import type { ApiState } from '@/libs/ui/use-api'

export type Entitlements = z.infer<typeof entitlements>

/** What a customer used of each meter in its present period, against the caps of the tier. */
export function CustomerUsage({ state }: { state: ApiState<Entitlements> }) {
  const usage = state.data?.usage
  return (
    <Card title={t('customers.detail.usage')}>
      {usage ? (
        usage.length > 0 ? (
          <div className="flex flex-col gap-5">
            {usage.map((line) => (
              <UsageLineBar key={line.meter_id} line={line} />
            ))}
          </div>
        ) : (
          <p className="py-4 text-center text-faint text-sm">{t('customers.detail.usage_empty')}</p>
        )
      ) : state.error ? (
        <ErrorState error={state.error} onRetry={state.reload} className="py-6" />
      ) : (
        <Loading className="flex flex-col gap-6">
          <Skeleton className="h-12" />
          <Skeleton className="h-12" />
        </Loading>
      )}
    </Card>
  )
}

function UsageLineBar({ line }: { line: z.infer<typeof usageLine> }) {
  const now = useNow()
  const used = Number(line.used)
  const projected =
    now > 0 && line.period === 'month' ? projectUsage(used, `${line.starts_on}T00:00:00Z`, line.reset_at, now) : null
  return (
    <UsageBar
      label={line.name}
      used={used}
      cap={line.limit === null ? null : Number(line.limit)}
      {...(line.unit ? { unit: line.unit } : {})}
      resetsAt={line.reset_at}
      projected={projected}
      overflow={line.behaviour === 'overflow'}
    />
  )
}

/** The features that the tier of a customer opens, with what they mean where it is written down. */
export function CustomerFeatures({ state }: { state: ApiState<Entitlements> }) {
  const features = state.data?.features
  return (
    <Card title={t('customers.detail.entitlements')}>
      {features ? (
        features.length > 0 ? (
          <ul className="flex flex-col gap-2">
            {features.map((feature) => (
              <li key={feature.key} className="flex flex-wrap items-center gap-x-3 gap-y-1">
                <Badge tone="success">{feature.key}</Badge>
                {feature.config === null || feature.config === undefined ? null : (
                  <code className="break-all font-mono text-faint text-xs">{JSON.stringify(feature.config)}</code>
                )}
              </li>
            ))}
          </ul>
        ) : (
          <p className="text-faint text-sm">{t('customers.detail.entitlements_empty')}</p>
        )
      ) : state.error ? (
        <p className="text-faint text-sm">–</p>
      ) : (
        <Loading>
          <Skeleton className="h-5 w-2/3" />
        </Loading>
      )}
    </Card>
  )
}
