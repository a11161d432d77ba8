'use client'

import type { ReactNode } from 'react'
import type { StripeExport } from '@/features/stripe-exports/schema'
import { Badge, type Tone } from '@/libs/ui/badge'
import { Banner } from '@/libs/ui/banner'
import { Card } from '@/libs/ui/card'
import { formatNumber } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'
import { Time } from '@/libs/ui/time'

const TONES: Record<StripeExport['status'], Tone> = {
  checking: 'info',
  connected: 'success',
  refused: 'danger',
  disconnected: 'neutral',
}

/** Whose account it is, how it stands, and what is the matter with it. */
export function AccountCard({ connection, actions }: { connection: StripeExport; actions: ReactNode }) {
  const { status, enabled, mode, account_id, account_name, last_four, last_error, paused_until } = connection
  const facts: ReadonlyArray<readonly [string, ReactNode]> = [
    [t('stripe-exports.account.key'), <span key="key">{t('stripe-exports.account.key_text', { last_four })}</span>],
    [
      t('stripe-exports.account.pushed'),
      connection.pushed_at ? (
        <Time key="pushed" value={connection.pushed_at} mode="relative" />
      ) : (
        t('stripe-exports.account.never')
      ),
    ],
    [t('stripe-exports.account.waiting'), formatNumber(connection.pending)],
    [t('stripe-exports.account.failed'), formatNumber(connection.failed)],
  ]
  return (
    <>
      {status === 'refused' ? (
        <Banner tone="danger" title={t('stripe-exports.refused.title')} className="mb-4">
          <p>{last_error}</p>
          <p>{t('stripe-exports.refused.description')}</p>
        </Banner>
      ) : null}
      {status !== 'refused' && last_error ? (
        <Banner tone="warning" title={t('stripe-exports.trouble.title')} className="mb-4">
          {last_error} {paused_until ? <Time value={paused_until} mode="relative" /> : null}
        </Banner>
      ) : null}
      <Card
        title={account_name ?? account_id ?? t('stripe-exports.account.title')}
        {...(account_id ? { description: account_id } : {})}
        actions={actions}
        className="mb-6"
      >
        <div className="flex flex-wrap gap-2">
          <Badge tone={TONES[status]}>{t(`stripe-exports.state.${status}`)}</Badge>
          <Badge>{t(`stripe-exports.state.${mode}`)}</Badge>
          {enabled ? null : <Badge tone="warning">{t('stripe-exports.state.paused')}</Badge>}
        </div>
        <dl className="mt-4 grid grid-cols-2 gap-x-6 gap-y-3 sm:grid-cols-4">
          {facts.map(([label, value]) => (
            <div key={label}>
              <dt className="text-faint text-xs">{label}</dt>
              <dd className="tabular mt-0.5 text-sm">{value}</dd>
            </div>
          ))}
        </dl>
      </Card>
    </>
  )
}
