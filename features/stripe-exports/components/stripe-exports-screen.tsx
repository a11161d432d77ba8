'use client'

import { CreditCard, Gauge, KeyRound, Pause, Play, Plug, Send, Unplug, Users } from 'lucide-react'
import { parseAsString, parseAsStringLiteral, useQueryStates } from 'nuqs'
import { useState } from 'react'
import { AccountCard } from '@/features/stripe-exports/components/account-card'
import { CustomersTable } from '@/features/stripe-exports/components/customers-table'
import { DeliveriesTable } from '@/features/stripe-exports/components/deliveries-table'
import { MetersTable } from '@/features/stripe-exports/components/meters-table'
import { TextDialog, type TextQuestion } from '@/features/stripe-exports/components/text-dialog'
import type { StripeExport } from '@/features/stripe-exports/schema'
import type { ApiProblem, Page } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { ConfirmDialog } from '@/libs/ui/confirm-dialog'
import { ActionMenu } from '@/libs/ui/menu'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { Segmented } from '@/libs/ui/segmented'
import { Skeleton } from '@/libs/ui/skeleton'
import { EmptyState, ErrorState } from '@/libs/ui/states'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch, useMutation } from '@/libs/ui/use-api'

const VIEWS = ['meters', 'deliveries', 'customers'] as const

/** The tenant's account at Stripe: connect it, choose what goes there, and see what went. */
export function StripeExportsScreen({ canWrite }: { canWrite: boolean }) {
  const api = useApiFetch()
  const [{ view }, setView] = useQueryStates({
    view: parseAsStringLiteral(VIEWS).withDefault('meters'),
    q: parseAsString,
    status: parseAsString,
    cursor: parseAsString,
  })
  const [question, setQuestion] = useState<TextQuestion | null>(null)
  const [leaving, setLeaving] = useState(false)
  const page = useApi<Page<StripeExport>>('/stripe-exports?limit=1', { refreshMs: 3_000 })
  const [newest] = page.data?.data ?? []
  const connection = newest && newest.status !== 'disconnected' ? newest : null
  const path = `/stripe-exports/${connection?.id ?? ''}`
  const onError = { onError: (problem: ApiProblem) => void toast.problem(problem) }
  const push = useMutation((_: null, options) => api(`${path}/push`, { method: 'POST', ...options }), {
    ...onError,
    onSuccess: () => {
      toast.success(t('stripe-exports.pushed_toast'))
      page.reload()
    },
  })
  const toggle = useMutation(
    (enabled: boolean, options) => api(path, { method: 'PATCH', body: { enabled }, ...options }),
    { ...onError, onSuccess: page.reload },
  )
  const askKey = () =>
    setQuestion({
      title: t(connection ? 'stripe-exports.form.replace_title' : 'stripe-exports.form.connect_title'),
      label: t('stripe-exports.form.key'),
      hint: t('stripe-exports.form.key_hint'),
      name: 'secret_key',
      value: '',
      act: t(connection ? 'ui.save' : 'stripe-exports.connect'),
      send: (secret_key, options) =>
        api(connection ? path : '/stripe-exports', {
          method: connection ? 'PATCH' : 'POST',
          body: { secret_key },
          ...options,
        }),
    })
  const connect = canWrite ? (
    <Button variant="primary" icon={<Plug />} onClick={askKey}>
      {t('stripe-exports.connect')}
    </Button>
  ) : null
  const acts =
    canWrite && connection ? (
      <>
        {connection.status === 'refused' ? (
          <Button size="sm" variant="primary" icon={<KeyRound />} onClick={askKey}>
            {t('stripe-exports.replace')}
          </Button>
        ) : (
          <Button
            size="sm"
            icon={<Send />}
            loading={push.pending}
            disabled={!connection.enabled || connection.status !== 'connected'}
            onClick={() => void push.run(null)}
          >
            {t('stripe-exports.push')}
          </Button>
        )}
        <ActionMenu
          label={t('stripe-exports.account.title')}
          entries={[
            {
              label: t(connection.enabled ? 'stripe-exports.pause' : 'stripe-exports.resume'),
              icon: connection.enabled ? <Pause /> : <Play />,
              onSelect: () => void toggle.run(!connection.enabled),
            },
            { label: t('stripe-exports.replace'), icon: <KeyRound />, onSelect: askKey },
            {
              label: t('stripe-exports.disconnect'),
              icon: <Unplug />,
              tone: 'danger',
              onSelect: () => setLeaving(true),
            },
          ]}
        />
      </>
    ) : null

  return (
    <>
      <PageHeader title={t('stripe-exports.title')} description={t('stripe-exports.description')} />
      {page.loading ? <Skeleton className="h-40" /> : null}
      {page.error && !page.data ? <ErrorState error={page.error} onRetry={page.reload} /> : null}
      {page.data && !connection ? (
        <EmptyState
          icon={<CreditCard />}
          title={t('stripe-exports.empty.title')}
          description={t('stripe-exports.empty.description')}
          action={connect}
        />
      ) : null}
      {connection ? (
        <>
          <AccountCard connection={connection} actions={acts} />
          <div className="mb-4">
            <Segmented
              label={t('stripe-exports.view')}
              options={[
                { value: 'meters', label: t('stripe-exports.meters.title'), icon: <Gauge /> },
                { value: 'deliveries', label: t('stripe-exports.deliveries.title'), icon: <Send /> },
                { value: 'customers', label: t('stripe-exports.customers.title'), icon: <Users /> },
              ]}
              value={view}
              // Each list knows a search and a page of its own.
              onValueChange={(value) => void setView({ view: value, q: null, status: null, cursor: null })}
            />
          </div>
          {view === 'meters' ? <MetersTable exportId={connection.id} canWrite={canWrite} /> : null}
          {view === 'deliveries' ? (
            <DeliveriesTable
              exportId={connection.id}
              canWrite={canWrite}
              failed={connection.failed}
              onChange={page.reload}
            />
          ) : null}
          {view === 'customers' ? <CustomersTable exportId={connection.id} canWrite={canWrite} /> : null}
        </>
      ) : null}
      <TextDialog
        question={question}
        onClose={(sent) => {
          setQuestion(null)
          if (sent) toast.success(t('stripe-exports.connected_toast'))
          page.reload()
        }}
      />
      <ConfirmDialog
        open={leaving}
        onOpenChange={setLeaving}
        tone="danger"
        title={t('stripe-exports.remove.title', {
          account: connection?.account_name ?? connection?.account_id ?? t('stripe-exports.title'),
        })}
        description={t('stripe-exports.remove.description')}
        consequences={[
          {
            label: t('stripe-exports.remove.waiting'),
            count: (connection?.pending ?? 0) + (connection?.failed ?? 0),
          },
        ]}
        confirmLabel={t('stripe-exports.remove.confirm')}
        onConfirm={async () => {
          await api(path, { method: 'DELETE' })
          toast.success(t('stripe-exports.disconnected_toast'))
          page.reload()
        }}
      />
    </>
  )
}
