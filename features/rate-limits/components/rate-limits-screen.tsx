'use client'

import { Pencil, Plus, Timer, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { formatSpan, type Override, OverrideDialog } from '@/features/rate-limits/components/override-dialog'
import type { Page } from '@/libs/ui/api-client'
import { Badge } from '@/libs/ui/badge'
import { Button } from '@/libs/ui/button'
import { CodeSnippet } from '@/libs/ui/code-snippet'
import { ConfirmDialog } from '@/libs/ui/confirm-dialog'
import type { Column } from '@/libs/ui/data-table'
import { FilterBar } from '@/libs/ui/filter-bar'
import { formatNumber } from '@/libs/ui/format'
import { httpSnippets } from '@/libs/ui/http-snippets'
import { useListState } from '@/libs/ui/list-state'
import { ListTable } from '@/libs/ui/list-table'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { EmptyState } from '@/libs/ui/states'
import { Time } from '@/libs/ui/time'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch } from '@/libs/ui/use-api'
import { useEditDialog } from '@/libs/ui/use-edit-dialog'

/** The exceptions a tenant makes from rate limits: list, set, change, delete. `limitUrl` is where limits are asked, absolute. */
export function RateLimitsScreen({ limitUrl, canWrite }: { limitUrl: string; canWrite: boolean }) {
  const list = useListState([])
  const page = useApi<Page<Override>>(`/rate-limits/overrides${list.query}`)
  const api = useApiFetch()
  const dialog = useEditDialog<Override>(t('rate-limits.create'), canWrite)
  const [removing, setRemoving] = useState<Override | null>(null)

  const columns: ReadonlyArray<Column<Override>> = [
    {
      key: 'identifier',
      header: t('rate-limits.column.identifier'),
      sortValue: (override) => override.identifier,
      cell: (override) => (
        <span className="inline-flex items-center gap-2">
          <code className="font-mono text-sm">{override.identifier}</code>
          {override.identifier.includes('*') ? <Badge>{t('rate-limits.pattern')}</Badge> : null}
        </span>
      ),
    },
    {
      key: 'namespace',
      header: t('rate-limits.column.namespace'),
      cell: (override) => override.namespace,
      sortValue: (override) => override.namespace,
    },
    {
      key: 'limit',
      header: t('rate-limits.column.limit'),
      sortValue: (override) => override.limit / override.duration,
      cell: (override) =>
        override.limit === 0
          ? t('rate-limits.banned')
          : t('rate-limits.allowance', { limit: formatNumber(override.limit), span: formatSpan(override.duration) }),
    },
    {
      key: 'changed',
      header: t('rate-limits.column.changed'),
      cell: (override) => <Time value={override.updated_at} mode="relative" />,
      sortValue: (override) => override.updated_at,
    },
  ]

  async function remove(override: Override) {
    await api(`/rate-limits/overrides/${override.id}`, { method: 'DELETE' })
    toast.success(t('rate-limits.deleted'), { description: override.identifier })
    page.reload()
  }

  const create = canWrite ? (
    <Button variant="primary" icon={<Plus />} onClick={dialog.create}>
      {t('rate-limits.create')}
    </Button>
  ) : null

  return (
    <>
      <PageHeader title={t('rate-limits.title')} description={t('rate-limits.description')} actions={create} />
      <FilterBar list={list} search={t('rate-limits.search')} />
      <ListTable
        label={t('rate-limits.title')}
        list={list}
        page={page}
        columns={columns}
        rowKey={(override) => override.id}
        rowLabel={(override) => override.identifier}
        actions={
          canWrite
            ? (override) => [
                { label: t('rate-limits.edit'), icon: <Pencil />, onSelect: () => dialog.edit(override) },
                {
                  label: t('rate-limits.delete'),
                  icon: <Trash2 />,
                  tone: 'danger',
                  onSelect: () => setRemoving(override),
                },
              ]
            : undefined
        }
        empty={
          <EmptyState
            icon={<Timer />}
            title={t('rate-limits.empty.title')}
            description={t('rate-limits.empty.description')}
            action={create}
          >
            <CodeSnippet
              label={t('rate-limits.empty.snippet')}
              snippets={httpSnippets({
                method: 'POST',
                url: limitUrl,
                body: { namespace: 'api', identifier: 'customer-1', limit: 100, duration: 60_000 },
              })}
            />
          </EmptyState>
        }
      />
      <OverrideDialog
        open={dialog.open}
        override={dialog.target}
        onOpenChange={(open) => !open && dialog.close()}
        onSaved={() => {
          dialog.close()
          toast.success(t('rate-limits.saved'))
          page.reload()
        }}
      />
      <ConfirmDialog
        open={removing !== null}
        onOpenChange={(open) => !open && setRemoving(null)}
        tone="danger"
        title={t('rate-limits.remove.title', { name: removing?.identifier ?? '' })}
        description={t('rate-limits.remove.description')}
        confirmLabel={t('rate-limits.remove.confirm')}
        onConfirm={async () => removing && remove(removing)}
      />
    </>
  )
}
