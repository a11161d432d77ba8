'use client'

import { Ban, CircleCheck, KeyRound, Plus, RefreshCw, Trash2 } from 'lucide-react'
import { parseAsBoolean, useQueryState } from 'nuqs'
import { useState } from 'react'
import { CreateCustomerKeyDialog } from '@/features/customer-keys/components/create-customer-key-dialog'
import {
  type CustomerKey,
  customerKeyState,
  isDead,
  type NewCustomerKey,
  nameOf,
} from '@/features/customer-keys/components/customer-key-state'
import { RotateCustomerKeyDialog } from '@/features/customer-keys/components/rotate-customer-key-dialog'
import type { Page } from '@/libs/ui/api-client'
import { Badge, StatusPill } from '@/libs/ui/badge'
import { Button } from '@/libs/ui/button'
import { CodeSnippet } from '@/libs/ui/code-snippet'
import { ConfirmDialog } from '@/libs/ui/confirm-dialog'
import type { Column } from '@/libs/ui/data-table'
import { FilterBar } from '@/libs/ui/filter-bar'
import { formatNumber, formatRelative } from '@/libs/ui/format'
import { httpSnippets } from '@/libs/ui/http-snippets'
import { useListState } from '@/libs/ui/list-state'
import { ListTable } from '@/libs/ui/list-table'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { SecretDialog } from '@/libs/ui/secret-dialog'
import { Segmented } from '@/libs/ui/segmented'
import { useShortcut } from '@/libs/ui/shortcuts'
import { EmptyState } from '@/libs/ui/states'
import { Time, useNow } from '@/libs/ui/time'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch } from '@/libs/ui/use-api'

const STATUSES = ['all', 'active', 'disabled', 'expired', 'revoked'] as const

/** Keys of the tenant's customers: list, create, disable, rotate, revoke. `verifyUrl` is where they are verified, absolute. */
export function CustomerKeysScreen({ verifyUrl, canWrite }: { verifyUrl: string; canWrite: boolean }) {
  const list = useListState(['status'])
  const page = useApi<Page<CustomerKey>>(`/customer-keys${list.query}`)
  const api = useApiFetch()
  const [creating, setCreating] = useQueryState('new', parseAsBoolean.withDefault(false))
  const [created, setCreated] = useState<NewCustomerKey | null>(null)
  const [rotating, setRotating] = useState<CustomerKey | null>(null)
  const [revoking, setRevoking] = useState<CustomerKey | null>(null)
  const now = useNow()
  useShortcut('n', t('customer-keys.create'), () => canWrite && void setCreating(true, { history: 'push' }))
  const status = STATUSES.find((value) => value === list.facets.status?.[0]) ?? 'all'

  const columns: ReadonlyArray<Column<CustomerKey>> = [
    { key: 'name', header: t('customer-keys.column.name'), cell: nameOf, sortValue: nameOf },
    {
      key: 'key',
      header: t('customer-keys.column.key'),
      cell: (key) => (
        <code className="whitespace-nowrap font-mono text-mute text-xs">
          {key.prefix}…{key.last_four}
        </code>
      ),
    },
    {
      key: 'customer',
      header: t('customer-keys.column.customer'),
      cell: (key) => key.external_id ?? <span className="text-faint">–</span>,
      sortValue: (key) => key.external_id,
    },
    {
      key: 'credits',
      header: t('customer-keys.column.credits'),
      align: 'right',
      cell: (key) => (key.remaining === null ? t('customer-keys.unlimited') : formatNumber(key.remaining)),
      sortValue: (key) => key.remaining,
    },
    {
      key: 'state',
      header: t('customer-keys.column.state'),
      cell: (key) => {
        const state = customerKeyState(key, now || new Date(key.created_at).getTime())
        if (state === 'rotated') return <Badge tone="warning">{t('customer-keys.state.rotated')}</Badge>
        return state === 'disabled' ? <Badge>{t('customer-keys.state.disabled')}</Badge> : <StatusPill status={state} />
      },
    },
    {
      key: 'last_used',
      header: t('customer-keys.column.last_used'),
      cell: (key) => <Time value={key.last_used_at} mode="relative" fallback={t('customer-keys.never_used')} />,
      sortValue: (key) => key.last_used_at,
    },
    {
      key: 'expires',
      header: t('customer-keys.column.expires'),
      cell: (key) => <Time value={key.expires_at} mode="date" fallback={t('customer-keys.never_expires')} />,
      sortValue: (key) => key.expires_at,
    },
  ]

  async function enable(key: CustomerKey, enabled: boolean) {
    await api(`/customer-keys/${key.id}`, { method: 'PATCH', body: { enabled } })
    page.reload()
    const name = nameOf(key)
    if (enabled) toast.success(t('customer-keys.enabled', { name }))
    else toast.undo(t('customer-keys.disabled', { name }), () => void enable(key, true).catch(toast.problem))
  }

  async function revoke(key: CustomerKey) {
    await api(`/customer-keys/${key.id}`, { method: 'DELETE' })
    toast.success(t('customer-keys.revoke.done'), { description: nameOf(key) })
    page.reload()
  }

  function show(key: NewCustomerKey) {
    setCreated(key)
    page.reload()
  }

  const create = canWrite ? (
    <Button variant="primary" icon={<Plus />} onClick={() => void setCreating(true, { history: 'push' })}>
      {t('customer-keys.create')}
    </Button>
  ) : null

  return (
    <>
      <PageHeader title={t('customer-keys.title')} description={t('customer-keys.description')} actions={create} />
      <FilterBar list={list} search={t('customer-keys.search')}>
        <Segmented
          label={t('customer-keys.state.label')}
          options={STATUSES.map((value) => ({ value, label: t(`customer-keys.state.${value}`) }))}
          value={status}
          onValueChange={(value) => list.setFacet('status', value === 'all' ? [] : [value])}
        />
      </FilterBar>
      <ListTable
        label={t('customer-keys.title')}
        list={list}
        page={page}
        columns={columns}
        rowKey={(key) => key.id}
        rowLabel={nameOf}
        actions={(key) =>
          canWrite && !isDead(key)
            ? [
                key.enabled
                  ? {
                      label: t('customer-keys.disable'),
                      icon: <Ban />,
                      onSelect: () => void enable(key, false).catch(toast.problem),
                    }
                  : {
                      label: t('customer-keys.enable'),
                      icon: <CircleCheck />,
                      onSelect: () => void enable(key, true).catch(toast.problem),
                    },
                ...(key.succeeded_by
                  ? []
                  : [
                      {
                        label: t('customer-keys.rotate.action'),
                        icon: <RefreshCw />,
                        onSelect: () => setRotating(key),
                      },
                    ]),
                {
                  label: t('customer-keys.revoke.action'),
                  icon: <Trash2 />,
                  tone: 'danger' as const,
                  onSelect: () => setRevoking(key),
                },
              ]
            : []
        }
        empty={
          <EmptyState
            icon={<KeyRound />}
            title={t('customer-keys.empty.title')}
            description={t('customer-keys.empty.description')}
            action={create}
          >
            <CodeSnippet
              label={t('customer-keys.created.next')}
              snippets={httpSnippets({ method: 'POST', url: verifyUrl, body: { key: 'key_…' } })}
            />
          </EmptyState>
        }
      />
      <CreateCustomerKeyDialog
        open={creating && canWrite}
        onOpenChange={(open) => void setCreating(open)}
        onCreated={(key) => {
          void setCreating(false)
          show(key)
        }}
      />
      <RotateCustomerKeyDialog
        customerKey={rotating}
        onClose={() => setRotating(null)}
        onRotated={(key) => {
          setRotating(null)
          show(key)
        }}
      />
      <SecretDialog
        secret={created?.key ?? null}
        title={t('customer-keys.created.title')}
        description={t('customer-keys.created.description')}
        label={t('customer-keys.created.label')}
        onDone={() => setCreated(null)}
      >
        {created ? (
          <CodeSnippet
            label={t('customer-keys.created.next')}
            snippets={httpSnippets({ method: 'POST', url: verifyUrl, body: { key: created.key } })}
          />
        ) : null}
      </SecretDialog>
      <ConfirmDialog
        open={revoking !== null}
        onOpenChange={(open) => !open && setRevoking(null)}
        tone="danger"
        title={t('customer-keys.revoke.title', { name: revoking ? nameOf(revoking) : '' })}
        description={t('customer-keys.revoke.description')}
        confirmLabel={t('customer-keys.revoke.confirm')}
        onConfirm={async () => revoking && revoke(revoking)}
      >
        {revoking?.last_used_at
          ? t('customer-keys.revoke.used', { time: formatRelative(revoking.last_used_at) })
          : t('customer-keys.revoke.unused')}
      </ConfirmDialog>
    </>
  )
}
