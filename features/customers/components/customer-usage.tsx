'use client'

import { History } from 'lucide-react'
import type { Entitlements, UsageLine } from '@/features/customers/components/entitlement-rows'
import { FEWEST_DAYS } from '@/libs/metering/forecast'
import { toQuery } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { Card } from '@/libs/ui/card'
import { formatQuantity } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import { Loading, Skeleton } from '@/libs/ui/skeleton'
import { ErrorState } from '@/libs/ui/states'
import { UsageBar } from '@/libs/ui/usage-bar'
import { type ApiState, useApi } from '@/libs/ui/use-api'

/** Of `GET /usage/trends`, as far as it is shown here. */
type Outlooks = { data: readonly { meter: { id: string }; forecast: { used: number; method: string; days: number } }[] }

/** So many meters without usage are shown like the others. */
const FEW = 3

const isQuiet = ({ used, limit, granted, balance, held }: UsageLine) =>
  Number(used) === 0 && Number(held) === 0 && limit === null && granted === null && balance === null

/** What a customer used of each meter in its present period, against what it was granted or the cap that holds for it. */
export function CustomerUsage({
  customerId,
  state,
  onHistory,
}: {
  customerId: string
  state: ApiState<Entitlements>
  onHistory: (line: UsageLine) => void
}) {
  const usage = state.data?.usage
  // A tenant may have many meters: those that say nothing of this customer stand apart.
  const quiet = usage?.filter(isQuiet) ?? []
  const apart = quiet.length > FEW ? quiet : []
  const shown = usage?.filter((line) => !apart.includes(line))
  const outlooks = useApi<Outlooks>(`/usage/trends${toQuery({ customer: customerId, time_range: '30d' })}`, {
    refreshMs: 30_000,
  })
  const foreseen = new Map(outlooks.data?.data.map(({ meter, forecast }) => [meter.id, forecast]))
  return (
    <Card title={t('customers.detail.usage')}>
      {usage && shown ? (
        usage.length > 0 ? (
          <div className="flex flex-col gap-5">
            {shown.map((line) => (
              <UsageLineBar
                key={line.meter_id}
                line={line}
                forecast={foreseen.get(line.meter_id)}
                onHistory={() => onHistory(line)}
              />
            ))}
            {apart.length > 0 ? (
              <details>
                <summary className="min-h-6 cursor-pointer rounded-sm text-mute text-sm hover:text-ink">
                  {t('customers.detail.usage_quiet', { count: apart.length })}
                </summary>
                <p className="mt-2 text-faint text-sm">{apart.map(({ name }) => name).join(', ')}</p>
              </details>
            ) : null}
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
          <Skeleton className="h-12" />
        </Loading>
      )}
    </Card>
  )
}

function UsageLineBar({
  line,
  forecast,
  onHistory,
}: {
  line: UsageLine
  forecast: Outlooks['data'][number]['forecast'] | undefined
  onHistory: () => void
}) {
  const held = Number(line.held)
  const cap = line.granted ?? line.limit
  const told = forecast && forecast.method !== 'none' && forecast.days >= FEWEST_DAYS
  return (
    <div>
      <UsageBar
        label={line.name}
        used={line.used}
        cap={cap}
        {...(line.unit ? { unit: line.unit } : {})}
        resetsAt={line.reset_at}
        projected={told ? forecast.used : null}
        reserved={held}
        overflow={line.behaviour === 'overflow'}
      />
      {line.balance !== null || held > 0 ? (
        <div className="mt-1 flex flex-wrap items-center justify-between gap-x-4 gap-y-1 text-mute text-sm">
          <span className="tabular">{describeBalance(line)}</span>
          {line.balance === null ? null : (
            <Button
              size="sm"
              variant="ghost"
              icon={<History />}
              onClick={onHistory}
              aria-label={t('entitlements.balance.history', { name: line.name })}
            >
              {t('entitlements.balance.show_history')}
            </Button>
          )}
        </div>
      ) : null}
    </div>
  )
}

/** "300 calls left of 1,200 calls granted · 20 calls held back". */
function describeBalance({ balance, granted, overage, held, unit }: UsageLine): string {
  const quantity = (value: string | number) => formatQuantity(value, unit)
  const parts = [
    ...(balance === null || granted === null
      ? []
      : [t('entitlements.balance.line', { balance: quantity(balance), granted: quantity(granted) })]),
    ...(Number(overage) > 0 ? [t('entitlements.balance.overage', { amount: quantity(overage) })] : []),
    ...(Number(held) > 0 ? [t('entitlements.balance.held', { amount: quantity(held) })] : []),
  ]
  return parts.join(' · ')
}
