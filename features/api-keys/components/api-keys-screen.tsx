'use client'

import { KeyRound, Plus } from 'lucide-react'
import { parseAsBoolean, useQueryState } from 'nuqs'
import { useState } from 'react'
import type { z } from 'zod'
import { CreateKeyDialog, type NewApiKey } from '@/features/api-keys/components/create-key-dialog'
import { KeyPermissions, KeyStatePill } from '@/features/api-keys/components/key-cells'
import { keyState } from '@/features/api-keys/components/key-permissions'
import { RotateKeyDialog } from '@/features/api-keys/components/rotate-key-dialog'
import type { apiKey } from '@/features/api-keys/schema'
import type { Page } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { CodeSnippet } from '@/libs/ui/code-snippet'
import { ConfirmDialog } from '@/libs/ui/confirm-dialog'
import type { Column } from '@/libs/ui/data-table'
import { FilterBar } from '@/libs/ui/filter-bar'
import { formatRelative } from '@/libs/ui/format'
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

type ApiKey = z.infer<typeof apiKey>

const STATUSES = ['all', 'active', 'expired', 'revoked'] as const

/** Keys of the tenant: list, create, rotate, revoke. `trackUrl` is where a key sends usage, absolute. */
export function ApiKeysScreen({ trackUrl, canWrite }: { trackUrl: string; canWrite: boolean }) {
  const list = useListState(['status'])
  const page = useApi<Page<ApiKey>>(`/api-keys${list.query}`)
  // The commands name a meter that exists, so that they work as they are.
  const meters = useApi<Page<{ slug: string }>>('/meters?limit=1')
  const meter = meters.data?.data[0]?.slug ?? 'api_calls'
  const api = useApiFetch()
  const [creating, setCreating] = useQueryState('new', parseAsBoolean.withDefault(false))
  const [created, setCreated] = useState<NewApiKey | null>(null)
  const [rotating, setRotating] = useState<ApiKey | null>(null)
  const [revoking, setRevoking] = useState<ApiKey | null>(null)
  const now = useNow()
  useShortcut('n', t('api-keys.create'), () => canWrite && void setCreating(true, { history: 'push' }))

  const status = STATUSES.find((value) => value === list.facets.status?.[0]) ?? 'all'

  const columns: ReadonlyArray<Column<ApiKey>> = [
    { key: 'name', header: t('api-keys.column.name'), cell: (key) => key.name, sortValue: (key) => key.name },
    {
      key: 'key',
      header: t('api-keys.column.key'),
      cell: (key) => (
        <code className="whitespace-nowrap font-mono text-mute text-xs">
          {key.prefix}…{key.last_four}
        </code>
      ),
    },
    {
      key: 'permissions',
      header: t('api-keys.column.permissions'),
      cell: (key) => <KeyPermissions name={key.name} permissions={key.permissions} />,
    },
    {
      key: 'state',
      header: t('api-keys.column.state'),
      cell: (key) => <KeyStatePill state={keyState(key, now || new Date(key.created_at).getTime())} />,
    },
    {
      key: 'last_used',
      header: t('api-keys.column.last_used'),
      cell: (key) => <Time value={key.last_used_at} mode="relative" fallback={t('api-keys.never_used')} />,
      sortValue: (key) => key.last_used_at,
    },
    {
      key: 'expires',
      header: t('api-keys.column.expires'),
      cell: (key) =>
        key.revoked_at ? (
          <span className="text-faint">–</span>
        ) : (
          <Time value={key.expires_at} mode="date" fallback={t('api-keys.never_expires')} />
        ),
      sortValue: (key) => key.expires_at,
    },
    {
      key: 'created',
      header: t('api-keys.column.created'),
      cell: (key) => <Time value={key.created_at} mode="date" />,
      sortValue: (key) => key.created_at,
    },
  ]

  async function revoke(key: ApiKey) {
    await api(`/api-keys/${key.id}`, { method: 'DELETE' })
    toast.success(t('api-keys.revoke.done'), { description: key.name })
    page.reload()
  }

  return (
    <>
      <PageHeader
        title={t('api-keys.title')}
        description={t('api-keys.description')}
        actions={
          canWrite ? (
            <Button variant="primary" icon={<Plus />} onClick={() => void setCreating(true, { history: 'push' })}>
              {t('api-keys.create')}
            </Button>
          ) : null
        }
      />
      <FilterBar list={list} search={t('api-keys.search')}>
        <Segmented
          label={t('api-keys.state.label')}
          options={STATUSES.map((value) => ({
            value,
            label: value === 'all' ? t('api-keys.state.all') : t(`api-keys.state.${value}`),
          }))}
          value={status}
          onValueChange={(value) => list.setFacet('status', value === 'all' ? [] : [value])}
        />
      </FilterBar>
      <ListTable
        label={t('api-keys.title')}
        list={list}
        page={page}
        columns={columns}
        rowKey={(key) => key.id}
        rowLabel={(key) => key.name}
        actions={(key) =>
          canWrite && key.revoked_at === null
            ? [
                ...(keyState(key, now) === 'expired'
                  ? []
                  : [{ label: t('api-keys.rotate.action'), onSelect: () => setRotating(key) }]),
                { label: t('api-keys.revoke.action'), tone: 'danger', onSelect: () => setRevoking(key) },
              ]
            : []
        }
        empty={
          <EmptyState
            icon={<KeyRound />}
            title={t('api-keys.empty.title')}
            description={t('api-keys.empty.description')}
            action={
              canWrite ? (
                <Button variant="primary" icon={<Plus />} onClick={() => void setCreating(true, { history: 'push' })}>
                  {t('api-keys.create')}
                </Button>
              ) : null
            }
          >
            <CodeSnippet label={t('api-keys.created.next')} snippets={trackSnippets(trackUrl, meter)} />
          </EmptyState>
        }
      />
      <CreateKeyDialog
        open={creating && canWrite}
        onOpenChange={(open) => void setCreating(open)}
        onCreated={(key) => {
          void setCreating(false)
          setCreated(key)
          page.reload()
        }}
      />
      <RotateKeyDialog
        rotating={rotating}
        onClose={() => setRotating(null)}
        onRotated={(key) => {
          setRotating(null)
          setCreated(key)
          page.reload()
        }}
      />
      <SecretDialog
        secret={created?.key ?? null}
        title={t('api-keys.created.title')}
        description={t('api-keys.created.description')}
        label={t('api-keys.created.label')}
        onDone={() => setCreated(null)}
      >
        {created?.permissions.includes('usage:write') ? (
          <CodeSnippet label={t('api-keys.created.next')} snippets={trackSnippets(trackUrl, meter, created.key)} />
        ) : null}
      </SecretDialog>
      <ConfirmDialog
        open={revoking !== null}
        onOpenChange={(open) => !open && setRevoking(null)}
        tone="danger"
        title={t('api-keys.revoke.title', { name: revoking?.name ?? '' })}
        description={t('api-keys.revoke.description')}
        confirmLabel={t('api-keys.revoke.confirm')}
        onConfirm={async () => revoking && revoke(revoking)}
      >
        {revoking?.last_used_at
          ? t('api-keys.revoke.used', { time: formatRelative(revoking.last_used_at) })
          : t('api-keys.revoke.unused')}
      </ConfirmDialog>
    </>
  )
}

function trackSnippets(url: string, meter: string, key?: string) {
  const body = { meter_id: meter, user_id: 'customer-1', event_value: 1 }
  return httpSnippets({ method: 'POST', url, body, ...(key ? { key } : {}) })
}
