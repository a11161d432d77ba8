'use client'

import { Ban, CircleCheck, KeyRound, Plus, RefreshCw, Trash2 } from 'lucide-react'
import { parseAsBoolean, useQueryState } from 'nuqs'
import { type ReactNode, useState } from 'react'
import type { Page } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { CodeSnippet } from '@/libs/ui/code-snippet'
import { ConfirmDialog } from '@/libs/ui/confirm-dialog'
import type { Column } from '@/libs/ui/data-table'
import { FilterBar } from '@/libs/ui/filter-bar'
import { formatRelative } from '@/libs/ui/format'
import type { httpSnippets } from '@/libs/ui/http-snippets'
import { useListState } from '@/libs/ui/list-state'
import { ListTable } from '@/libs/ui/list-table'
import type { MenuEntry } from '@/libs/ui/menu'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { RotateKeyDialog } from '@/libs/ui/rotate-key-dialog'
import { SecretDialog } from '@/libs/ui/secret-dialog'
import { Segmented } from '@/libs/ui/segmented'
import { useShortcut } from '@/libs/ui/shortcuts'
import { EmptyState } from '@/libs/ui/states'
import { Time, useNow } from '@/libs/ui/time'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch } from '@/libs/ui/use-api'

/** What every kind of key has. */
export type KeyRow = {
  id: string
  prefix: string
  last_four: string
  created_at: string
  expires_at: string | null
  last_used_at: string | null
  revoked_at: string | null
}

type Snippets = ReturnType<typeof httpSnippets>

export type KeyScreenProps<Row extends KeyRow, NewKey extends Row & { key: string }> = {
  /** Where the keys are, such as `/api-keys`. */
  path: string
  /** What the list can be narrowed to, besides all. */
  statuses: ReadonlyArray<'active' | 'disabled' | 'expired' | 'revoked'>
  texts: {
    title: string
    description: string
    search: string
    create: string
    empty: { title: string; description: string }
    created: { title: string; description: string; label: string; next: string }
    rotate: string
    /** What a key that was used at a time means for whoever revokes it. */
    used: (time: string) => string
  }
  nameOf: (key: Row) => string
  /** The columns between the key itself and its dates; the moment is the present one, 0 before it is known. */
  columns: (now: number) => ReadonlyArray<Column<Row>>
  canRotate: (key: Row, now: number) => boolean
  isDisabled: (key: Row) => boolean
  /** Enables a key, or disables it. */
  onSwitch: (key: Row, on: boolean) => Promise<unknown>
  /** A first call with a key that was just made, or with none; null when that key is for something else. */
  snippets: (created: NewKey | null) => Snippets | null
  form: (dialog: {
    open: boolean
    onOpenChange: (open: boolean) => void
    onCreated: (key: NewKey) => void
  }) => ReactNode
  canWrite: boolean
}

/** A list of keys: create (its value is shown once), disable and enable, rotate with a grace for the old one, revoke. */
export function KeyScreen<Row extends KeyRow, NewKey extends Row & { key: string }>({
  path,
  statuses,
  texts,
  nameOf,
  columns,
  canRotate,
  isDisabled,
  onSwitch,
  snippets,
  form,
  canWrite,
}: KeyScreenProps<Row, NewKey>) {
  const list = useListState(['status'])
  const page = useApi<Page<Row>>(`${path}${list.query}`)
  const api = useApiFetch()
  const [creating, setCreating] = useQueryState('new', parseAsBoolean.withDefault(false))
  const [created, setCreated] = useState<NewKey | null>(null)
  const [rotating, setRotating] = useState<Row | null>(null)
  const [revoking, setRevoking] = useState<Row | null>(null)
  const now = useNow()
  useShortcut('n', texts.create, () => canWrite && void setCreating(true, { history: 'push' }))

  function show(key: NewKey) {
    setCreated(key)
    page.reload()
  }

  async function turn(key: Row, on: boolean): Promise<void> {
    await onSwitch(key, on)
    page.reload()
    const name = nameOf(key)
    if (on) toast.success(t('keys.enabled', { name }))
    else toast.undo(t('keys.disabled', { name }), () => void turn(key, true).catch(toast.problem))
  }

  function entriesOf(key: Row): MenuEntry[] {
    if (!canWrite || key.revoked_at !== null) return []
    const off = isDisabled(key)
    const turned = {
      label: t(off ? 'keys.enable' : 'keys.disable'),
      icon: off ? <CircleCheck /> : <Ban />,
      onSelect: () => void turn(key, off).catch(toast.problem),
    }
    const rotate = { label: t('keys.rotate.action'), icon: <RefreshCw />, onSelect: () => setRotating(key) }
    const revoke = { label: t('keys.revoke.action'), icon: <Trash2 />, onSelect: () => setRevoking(key) }
    return [turned, ...(canRotate(key, now) ? [rotate] : []), { ...revoke, tone: 'danger' }]
  }

  const create = canWrite ? (
    <Button variant="primary" icon={<Plus />} onClick={() => void setCreating(true, { history: 'push' })}>
      {texts.create}
    </Button>
  ) : null
  const first = snippets(null)
  const next = created ? snippets(created) : null
  return (
    <>
      <PageHeader title={texts.title} description={texts.description} actions={create} />
      <FilterBar list={list} search={texts.search}>
        <Segmented
          label={t('keys.state.label')}
          options={(['all', ...statuses] as const).map((value) => ({ value, label: t(`keys.state.${value}`) }))}
          value={statuses.find((value) => value === list.facets.status?.[0]) ?? 'all'}
          onValueChange={(value) => list.setFacet('status', value === 'all' ? [] : [value])}
        />
      </FilterBar>
      <ListTable
        label={texts.title}
        list={list}
        page={page}
        columns={[...leading(nameOf), ...columns(now), ...trailing<Row>()]}
        rowKey={(key) => key.id}
        rowLabel={nameOf}
        actions={entriesOf}
        empty={
          <EmptyState
            icon={<KeyRound />}
            title={texts.empty.title}
            description={texts.empty.description}
            action={create}
          >
            {first ? <CodeSnippet label={texts.created.next} snippets={first} /> : null}
          </EmptyState>
        }
      />
      {form({
        open: creating && canWrite,
        onOpenChange: (open) => void setCreating(open),
        onCreated: (key) => {
          void setCreating(false)
          show(key)
        },
      })}
      <RotateKeyDialog<NewKey>
        path={path}
        rotating={rotating ? { id: rotating.id, name: nameOf(rotating) } : null}
        description={texts.rotate}
        onClose={() => setRotating(null)}
        onRotated={(key) => {
          setRotating(null)
          show(key)
        }}
      />
      <SecretDialog
        secret={created?.key ?? null}
        title={texts.created.title}
        description={texts.created.description}
        label={texts.created.label}
        onDone={() => setCreated(null)}
      >
        {next ? <CodeSnippet label={texts.created.next} snippets={next} /> : null}
      </SecretDialog>
      <ConfirmDialog
        open={revoking !== null}
        onOpenChange={(open) => !open && setRevoking(null)}
        tone="danger"
        title={t('keys.revoke.title', { name: revoking ? nameOf(revoking) : '' })}
        description={t('keys.revoke.description')}
        confirmLabel={t('keys.revoke.confirm')}
        onConfirm={async (options) => {
          if (!revoking) return
          await api(`${path}/${revoking.id}`, { method: 'DELETE', ...options })
          toast.success(t('keys.revoke.done'), { description: nameOf(revoking) })
          page.reload()
        }}
      >
        {revoking?.last_used_at ? texts.used(formatRelative(revoking.last_used_at)) : t('keys.revoke.unused')}
      </ConfirmDialog>
    </>
  )
}

const leading = <Row extends KeyRow>(nameOf: (key: Row) => string): ReadonlyArray<Column<Row>> => [
  { key: 'name', header: t('keys.column.name'), cell: nameOf, sortValue: nameOf },
  {
    key: 'key',
    header: t('keys.column.key'),
    cell: (key) => (
      <code className="whitespace-nowrap font-mono text-mute text-xs">
        {key.prefix}…{key.last_four}
      </code>
    ),
  },
]

const trailing = <Row extends KeyRow>(): ReadonlyArray<Column<Row>> => [
  {
    key: 'last_used',
    header: t('keys.column.last_used'),
    cell: (key) => <Time value={key.last_used_at} mode="relative" fallback={t('keys.never')} />,
    sortValue: (key) => key.last_used_at,
  },
  {
    key: 'expires',
    header: t('keys.column.expires'),
    cell: (key) =>
      key.revoked_at ? (
        <span className="text-faint">–</span>
      ) : (
        <Time value={key.expires_at} mode="date" fallback={t('keys.never')} />
      ),
    sortValue: (key) => key.expires_at,
    folds: true,
  },
  {
    key: 'created',
    header: t('keys.column.created'),
    cell: (key) => <Time value={key.created_at} mode="date" />,
    sortValue: (key) => key.created_at,
    folds: true,
  },
]
