'use client'

import { FileChartColumn, ScrollText } from 'lucide-react'
import type { z } from 'zod'
import type { Customer } from '@/features/customers/components/customer-dialog'
import type { subscription } from '@/features/customers/schema'
import { Badge } from '@/libs/ui/badge'
import { TextLink } from '@/libs/ui/button'
import { KeyValueList } from '@/libs/ui/card'
import { CopyText } from '@/libs/ui/copy-button'
import { JsonView } from '@/libs/ui/json-view'
import { t } from '@/libs/ui/messages'
import { Time } from '@/libs/ui/time'

export type Subscription = z.infer<typeof subscription>

/** Who a customer is, and the ways to what else is known of it. */
export function CustomerFacts({
  customer,
  subscribed,
  auditHref,
  reportsHref,
}: {
  customer: Customer
  subscribed: Subscription | undefined
  auditHref: string | undefined
  reportsHref: string | undefined
}) {
  return (
    <div className="flex flex-col gap-4">
      <KeyValueList
        className="grid-cols-1"
        items={[
          { label: t('customers.detail.external_id'), value: <CopyText value={customer.external_id} /> },
          { label: t('customers.detail.id'), value: <CopyText value={customer.id} /> },
          { label: t('customers.detail.email'), value: customer.email ?? <span className="text-faint">–</span> },
          {
            label: t('customers.detail.tier'),
            value: customer.tier ? (
              <>
                {customer.tier.name}{' '}
                {subscribed?.newer_version ? (
                  <Badge tone="info">
                    {t('customers.detail.version', {
                      version: subscribed.tier_version ?? 1,
                      newest: subscribed.newer_version,
                    })}
                  </Badge>
                ) : null}
                {customer.tier_source === 'default' ? (
                  <span className="text-faint">({t('customers.by_default')})</span>
                ) : null}
              </>
            ) : (
              <span className="text-faint">{t('customers.no_tier')}</span>
            ),
          },
          ...(subscribed?.started_at
            ? [{ label: t('customers.detail.since'), value: <Time value={subscribed.started_at} mode="date" /> }]
            : []),
          { label: t('customers.detail.added'), value: <Time value={customer.created_at} /> },
        ]}
      />
      {Object.keys(customer.metadata).length > 0 ? (
        <JsonView label={t('customers.detail.metadata')} value={customer.metadata} />
      ) : null}
      {reportsHref ? (
        <p className="flex items-center gap-2 text-sm">
          <FileChartColumn aria-hidden="true" className="size-4 text-faint" />
          <TextLink href={`${reportsHref}?customer=${encodeURIComponent(customer.external_id)}`}>
            {t('customers.detail.report')}
          </TextLink>
        </p>
      ) : null}
      {auditHref ? (
        <p className="flex items-center gap-2 text-sm">
          <ScrollText aria-hidden="true" className="size-4 text-faint" />
          <TextLink href={`${auditHref}?target_id=${customer.id}`}>{t('customers.detail.history')}</TextLink>
        </p>
      ) : null}
    </div>
  )
}
