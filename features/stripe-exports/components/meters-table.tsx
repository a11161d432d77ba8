'use client'

import { Gauge, Pause, Pencil, Play, Plus, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { TextDialog, type TextQuestion } from '@/features/stripe-exports/components/text-dialog'
import type { StripeMeter } from '@/features/stripe-exports/schema'
import type { Page } from '@/libs/ui/api-client'
import { Badge, type Tone } from '@/libs/ui/badge'
import { ConfirmDialog } from '@/libs/ui/confirm-dialog'
import { type Column, DataTable } from '@/libs/ui/data-table'
import type { MenuEntry } from '@/libs/ui/menu'
import { t } from '@/libs/ui/messages'
import { EmptyState } from '@/libs/ui/states'
import { Time } from '@/libs/ui/time'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch, useMutation } from '@/libs/ui/use-api'

type State = 'pushed' | 'held' | 'off' | 'unfit'
const TONES: Record<State, Tone> = { pushed: 'success', held: 'warning', off: 'neutral', unfit: 'neutral' }

function stateOf({ reason, mapped, enabled }: StripeMeter): State {
  if (reason) return 'unfit'
  if (!mapped) return 'off'
  return enabled ? 'pushed' : 'held'
}

const COLUMNS: ReadonlyArray<Column<StripeMeter>> = [
  {
    key: 'meter',
    header: t('stripe-exports.meters.column_meter'),
    sortValue: ({ meter }) => meter.name,
    cell: ({ meter }) => (
      <span className="inline-flex flex-col">
        {meter.name}
        <code className="font-mono font-normal text-faint text-xs">{meter.slug}</code>
      </span>
    ),
  },
  {
    key: 'event',
    header: t('stripe-exports.meters.column_event'),
    cell: (row) => (row.mapped ? <code className="break-all font-mono text-sm">{row.event_name}</code> : '–'),
  },
  {
    key: 'state',
    header: t('stripe-exports.meters.column_state'),
    cell: (row) => (
      <span className="inline-flex flex-col items-start gap-1">
        <Badge tone={TONES[stateOf(row)]}>{t(`stripe-exports.meters.${stateOf(row)}`)}</Badge>
        {row.reason ? <span className="max-w-sm whitespace-normal text-faint text-xs">{row.reason}</span> : null}
      </span>
    ),
  },
  {
    key: 'cut',
    header: t('stripe-exports.meters.column_cut'),
    align: 'right',
    cell: ({ cut_at }) => (cut_at ? <Time value={cut_at} mode="relative" /> : '–'),
  },
]

/** Which meters are pushed, and under which name. */
export function MetersTable({ exportId, canWrite }: { exportId: string; canWrite: boolean }) {
  const api = useApiFetch()
  const path = `/stripe-exports/${exportId}/meters`
  const page = useApi<Page<StripeMeter>>(path)
  const [question, setQuestion] = useState<TextQuestion | null>(null)
  const [removing, setRemoving] = useState<StripeMeter | null>(null)
  const toggle = useMutation(
    ({ meter, enabled }: StripeMeter, options) =>
      api(`${path}/${meter.id}`, { method: 'PUT', body: { enabled: !enabled }, ...options }),
    { onSuccess: page.reload, onError: (problem) => toast.problem(problem), rows: true },
  )
  const name = (row: StripeMeter, act: string) =>
    setQuestion({
      title: t('stripe-exports.meters.form_title', { meter: row.meter.name }),
      label: t('stripe-exports.meters.event_name'),
      hint: t('stripe-exports.meters.event_hint'),
      name: 'event_name',
      value: row.event_name,
      act,
      send: (event_name, options) =>
        api(`${path}/${row.meter.id}`, { method: 'PUT', body: { event_name }, ...options }),
    })
  const actions = (row: StripeMeter): MenuEntry[] => {
    if (!row.mapped)
      return row.reason
        ? []
        : [
            {
              label: t('stripe-exports.meters.add'),
              icon: <Plus />,
              onSelect: () => name(row, t('stripe-exports.meters.add')),
            },
          ]
    return [
      {
        label: t('stripe-exports.meters.rename'),
        icon: <Pencil />,
        onSelect: () => name(row, t('ui.save')),
      },
      {
        label: t(row.enabled ? 'stripe-exports.meters.hold' : 'stripe-exports.meters.release'),
        icon: row.enabled ? <Pause /> : <Play />,
        onSelect: () => void toggle.run(row),
      },
      {
        label: t('stripe-exports.meters.remove'),
        icon: <Trash2 />,
        tone: 'danger',
        onSelect: () => setRemoving(row),
      },
    ]
  }
  return (
    <>
      <DataTable
        label={t('stripe-exports.meters.title')}
        columns={COLUMNS}
        rows={page.data?.data}
        rowKey={({ meter }) => meter.id}
        rowLabel={({ meter }) => meter.name}
        actions={canWrite ? actions : undefined}
        loading={page.loading}
        error={page.error}
        onRetry={page.reload}
        empty={
          <EmptyState
            icon={<Gauge />}
            title={t('stripe-exports.meters.none')}
            description={t('stripe-exports.meters.none_hint')}
          />
        }
      />
      <TextDialog
        question={question}
        onClose={(sent) => {
          setQuestion(null)
          if (sent) page.reload()
        }}
      />
      <ConfirmDialog
        open={removing !== null}
        onOpenChange={(open) => !open && setRemoving(null)}
        tone="danger"
        title={t('stripe-exports.meters.remove_title', { meter: removing?.meter.name ?? '' })}
        description={t('stripe-exports.meters.remove_description')}
        confirmLabel={t('stripe-exports.meters.remove_confirm')}
        onConfirm={async () => {
          if (removing) await api(`${path}/${removing.meter.id}`, { method: 'DELETE' })
          page.reload()
        }}
      />
    </>
  )
}
