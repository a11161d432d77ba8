'use client'

import { useState } from 'react'
import type { Customer } from '@/features/customers/components/customer-dialog'
import type { Page } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { Dialog } from '@/libs/ui/dialog'
import { ProblemNotice } from '@/libs/ui/form'
import { formatMoney, formatQuantity } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import { RadioGroup } from '@/libs/ui/radio-group'
import { TextSkeleton } from '@/libs/ui/skeleton'
import { ErrorState } from '@/libs/ui/states'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch, useMutation } from '@/libs/ui/use-api'
import { useMeterNames } from '@/libs/ui/use-names'

type TierOffer = {
  id: string
  name: string
  price_minor: number
  currency: string
  billing_interval: 'month' | 'year'
  is_default: boolean
  usage_caps: Record<string, { limit: number | string; period: 'day' | 'month' }>
}

const DEFAULT = 'default'

/** Puts a customer on another tier, or back on the default one. */
export function ChangeTierDialog({
  customer,
  newerVersion,
  open,
  onOpenChange,
  onChanged,
}: {
  customer: Customer
  /** Newest version of its tier, when it has an older one: the same tier can then be chosen again. */
  newerVersion: number | null
  open: boolean
  onOpenChange: (open: boolean) => void
  onChanged: () => void
}) {
  const api = useApiFetch()
  const tiers = useApi<Page<TierOffer>>(open ? '/tiers?limit=200' : null, { whole: true })
  const present = customer.tier_source === 'subscription' ? (customer.tier?.id ?? DEFAULT) : DEFAULT
  const meterOf = useMeterNames(open)
  const [picked, setPicked] = useState<string | null>(null)
  const chosen = picked ?? present
  const name = customer.name ?? customer.external_id
  const offers = tiers.data?.data
  const standard = offers?.find((tier) => tier.is_default)

  const change = useMutation(
    (tier: string | null, options) =>
      api<unknown>(`/customers/${customer.id}/subscription`, { method: 'PUT', body: { tier }, ...options }),
    {
      onSuccess: (_, tier) => {
        const next = tier === null ? standard : offers?.find((each) => each.id === tier)
        toast.success(t('customers.detail.changed', { name, tier: next?.name ?? t('customers.no_tier') }))
        close(false)
        onChanged()
      },
    },
  )

  function close(next: boolean) {
    setPicked(null)
    change.reset()
    onOpenChange(next)
  }

  return (
    <Dialog
      open={open}
      onOpenChange={close}
      title={t('customers.detail.change_title', { name })}
      description={t('customers.detail.change_description')}
      footer={
        <>
          <Button onClick={() => close(false)}>{t('ui.cancel')}</Button>
          <Button
            variant="primary"
            disabled={(chosen === present && newerVersion === null) || !offers}
            loading={change.pending}
            onClick={() => void change.run(chosen === DEFAULT ? null : chosen)}
          >
            {t('customers.detail.change_confirm')}
          </Button>
        </>
      }
    >
      {change.error ? <ProblemNotice problem={change.error} className="mb-4" /> : null}
      {offers ? (
        <RadioGroup
          cards
          label={t('customers.detail.change_choose')}
          options={[
            {
              value: DEFAULT,
              label: standard
                ? t('customers.form.tier_default', { name: standard.name })
                : t('customers.form.tier_none'),
              description: standard ? describeOffer(standard, meterOf) : t('customers.detail.no_tier'),
            },
            ...offers
              .filter((tier) => !tier.is_default || tier.id === present)
              .map((tier) => ({
                value: tier.id,
                label:
                  tier.id === present && newerVersion !== null
                    ? t('customers.detail.newest_version', { name: tier.name, version: newerVersion })
                    : tier.name,
                description: describeOffer(tier, meterOf),
              })),
          ]}
          value={chosen}
          onValueChange={setPicked}
        />
      ) : tiers.error ? (
        <ErrorState error={tiers.error} onRetry={tiers.reload} />
      ) : (
        <TextSkeleton lines={5} />
      )}
    </Dialog>
  )
}

/** "$49.00 / month · 100,000 API calls / month". */
function describeOffer(tier: TierOffer, meterOf: (slug: string) => { name: string; unit: string }): string {
  const price =
    tier.price_minor === 0
      ? t('tiers.free')
      : t(`tiers.price_per.${tier.billing_interval}`, { amount: formatMoney(tier.price_minor, tier.currency) })
  const caps = Object.entries(tier.usage_caps).map(([slug, cap]) => {
    const { name, unit } = meterOf(slug)
    return `${formatQuantity(cap.limit, unit === 'bytes' ? unit : undefined)} ${name} ${t(`tiers.per.${cap.period}`)}`
  })
  return [price, ...caps].join(' · ')
}
