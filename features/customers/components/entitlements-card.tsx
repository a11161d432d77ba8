'use client'

import { Check, Gauge, Plus, SlidersHorizontal, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { EntitlementDrawer } from '@/features/customers/components/entitlement-drawer'
import type { Entitlement, Entitlements } from '@/features/customers/components/entitlement-rows'
import { Badge } from '@/libs/ui/badge'
import { Button, IconButton } from '@/libs/ui/button'
import { Card } from '@/libs/ui/card'
import { ConfirmDialog } from '@/libs/ui/confirm-dialog'
import { formatQuantity } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import { Loading, Skeleton } from '@/libs/ui/skeleton'
import { toast } from '@/libs/ui/toast'
import { InfoTip } from '@/libs/ui/tooltip'
import { type ApiState, useApiFetch } from '@/libs/ui/use-api'
import { useFeatureNames } from '@/libs/ui/use-names'

const ICONS = { boolean: Check, static: SlidersHorizontal, metered: Gauge } as const

/** What a customer may use, from its tier and of its own; its own are added and canceled here. */
export function EntitlementsCard({
  customerId,
  state,
  canWrite,
  onChanged,
}: {
  customerId: string
  state: ApiState<Entitlements>
  canWrite: boolean
  onChanged: () => void
}) {
  const api = useApiFetch()
  const [adding, setAdding] = useState(false)
  const [canceling, setCanceling] = useState<Entitlement | null>(null)
  const rows = state.data?.entitlements
  const featureName = useFeatureNames()
  const nameOf = ({ feature_key, meter }: Entitlement) =>
    featureName(feature_key) ?? (meter?.slug === feature_key ? meter.name : feature_key)
  return (
    <Card
      title={t('entitlements.title')}
      description={t('entitlements.description')}
      actions={
        canWrite ? (
          <Button size="sm" icon={<Plus />} onClick={() => setAdding(true)}>
            {t('entitlements.add')}
          </Button>
        ) : null
      }
    >
      {rows ? (
        rows.length > 0 ? (
          <ul className="divide-y">
            {rows.map((row) => (
              <EntitlementLine
                key={`${row.kind} ${row.feature_key}`}
                row={row}
                name={nameOf(row)}
                {...(canWrite && row.source === 'customer' ? { onCancel: () => setCanceling(row) } : {})}
              />
            ))}
          </ul>
        ) : (
          <p className="text-faint text-sm">{t('entitlements.empty')}</p>
        )
      ) : state.error ? (
        <p className="text-faint text-sm">–</p>
      ) : (
        <Loading>
          <Skeleton className="h-5 w-2/3" />
        </Loading>
      )}
      <EntitlementDrawer
        customerId={customerId}
        open={adding}
        onOpenChange={setAdding}
        onSaved={(saved) => {
          setAdding(false)
          toast.success(t('entitlements.form.saved', { name: nameOf(saved) }))
          onChanged()
        }}
      />
      <ConfirmDialog
        open={canceling !== null}
        onOpenChange={(open) => !open && setCanceling(null)}
        title={t('entitlements.cancel_title', { name: canceling ? nameOf(canceling) : '' })}
        description={t('entitlements.cancel_description')}
        confirmLabel={t('entitlements.cancel_confirm')}
        tone="danger"
        onConfirm={async () => {
          if (!canceling) return
          const { feature_key } = canceling
          await api(`/customers/${customerId}/entitlements/${encodeURIComponent(feature_key)}`, { method: 'DELETE' })
          toast.success(t('entitlements.canceled', { name: nameOf(canceling) }))
          onChanged()
        }}
      />
    </Card>
  )
}

function EntitlementLine({ row, name, onCancel }: { row: Entitlement; name: string; onCancel?: () => void }) {
  const Icon = ICONS[row.kind]
  return (
    <li className="flex items-start gap-3 py-2 first:pt-0 last:pb-0">
      <Icon
        aria-hidden="true"
        className={row.has_access ? 'mt-0.5 size-4 text-success-text' : 'mt-0.5 size-4 text-faint'}
      />
      <div className="min-w-0 flex-1">
        <p className="flex flex-wrap items-center gap-2 font-medium text-sm">
          <span className="wrap-anywhere min-w-0">{name}</span>
          {name === row.feature_key ? null : (
            <code className="break-all font-mono font-normal text-faint text-xs">{row.feature_key}</code>
          )}
          {row.source === 'customer' ? (
            <span className="inline-flex items-center gap-1">
              <Badge tone="accent">{t('entitlements.own')}</Badge>
              <InfoTip label={t('entitlements.own')}>{t('entitlements.own_hint')}</InfoTip>
            </span>
          ) : null}
        </p>
        {row.kind === 'metered' ? <p className="text-mute text-sm">{describeTerms(row)}</p> : null}
        {row.kind === 'static' && row.config !== null ? (
          <code className="break-all font-mono text-faint text-xs">{JSON.stringify(row.config)}</code>
        ) : null}
      </div>
      {onCancel ? (
        <IconButton size="sm" label={t('entitlements.cancel', { name })} icon={<Trash2 />} onClick={onCancel} />
      ) : null}
    </li>
  )
}

/** "10,000 calls a month, more is overage, carries over up to 500". */
function describeTerms({ meter, limit, period, behaviour, rollover, preserve_overage }: Entitlement): string {
  const allowance = limit ?? 0
  const terms = [
    Number(allowance) === 0
      ? t('entitlements.terms.only_grants')
      : t(`entitlements.terms.${period ?? 'month'}`, { limit: formatQuantity(allowance, meter?.unit) }),
    ...(behaviour ? [t(`entitlements.terms.behaviour.${behaviour}`)] : []),
    ...(rollover && Number(rollover.max) > 0
      ? [t('entitlements.terms.rollover', { max: formatQuantity(rollover.max, meter?.unit) })]
      : []),
    ...(preserve_overage ? [t('entitlements.terms.preserve_overage')] : []),
  ]
  return terms.join(', ')
}
