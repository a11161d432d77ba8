'use client'

import { Archive, Bell, BellOff, BellPlus, Pencil } from 'lucide-react'
import { type ReactNode, useState } from 'react'
import { type Alert, describeAgain, describeStep, describeTells } from '@/features/alerts/components/alert-text'
import type { Page } from '@/libs/ui/api-client'
import { Badge } from '@/libs/ui/badge'
import { TextLink } from '@/libs/ui/button'
import { ConfirmDialog } from '@/libs/ui/confirm-dialog'
import { type Column, DataTable } from '@/libs/ui/data-table'
import { t } from '@/libs/ui/messages'
import { EmptyState } from '@/libs/ui/states'
import { Time } from '@/libs/ui/time'
import { toast } from '@/libs/ui/toast'
import { type ApiState, useApiFetch, useMutation } from '@/libs/ui/use-api'

/** Whose usage it is: a link where one may see customers. */
export function CustomerCell({
  customer,
  customersHref,
}: {
  customer: { id: string; external_id: string; name: string | null } | null
  customersHref?: string
}) {
  if (!customer) return <span className="text-mute">{t('alerts.everyone')}</span>
  const name = customer.name ?? customer.external_id
  return customersHref ? <TextLink href={`${customersHref}/${customer.id}`}>{name}</TextLink> : name
}

/** The rules, newest first, with what can be done to each. */
export function RulesTable({
  page,
  canWrite,
  onEdit,
  customersHref,
  emptyAction,
}: {
  page: ApiState<Page<Alert>>
  canWrite: boolean
  onEdit: (rule: Alert) => void
  customersHref?: string
  emptyAction: ReactNode
}) {
  const api = useApiFetch()
  const [archiving, setArchiving] = useState<Alert | null>(null)
  const toggle = useMutation(
    ({ rule, enabled }: { rule: Alert; enabled: boolean }, options) =>
      api<Alert>(`/alerts/${rule.id}`, { method: 'PATCH', body: { enabled }, ...options }),
    {
      onSuccess: ({ name, enabled }) => {
        toast.success(t(enabled ? 'alerts.enabled' : 'alerts.disabled', { name }))
        page.reload()
      },
      onError: (problem) => toast.problem(problem),
      rows: true,
    },
  )
  const columns: ReadonlyArray<Column<Alert>> = [
    {
      key: 'name',
      header: t('alerts.column.name'),
      sortValue: (rule) => rule.name,
      cell: (rule) => (
        <span className="inline-flex flex-col">
          <span className="inline-flex items-center gap-2">
            {rule.name}
            {rule.enabled ? null : <Badge>{t('alerts.off')}</Badge>}
          </span>
          <span className="font-normal text-faint text-xs">{rule.meter.name}</span>
        </span>
      ),
    },
    {
      key: 'condition',
      header: t('alerts.column.condition'),
      cell: (rule) => (
        <span className="inline-flex flex-col">
          {describeStep(rule.kind, rule.threshold, rule.meter.unit)}
          {rule.recurring_every === null ? null : <span className="text-faint text-xs">{describeAgain(rule)}</span>}
        </span>
      ),
    },
    {
      key: 'customer',
      header: t('alerts.column.customer'),
      cell: (rule) => <CustomerCell customer={rule.customer} {...(customersHref ? { customersHref } : {})} />,
    },
    { key: 'tells', header: t('alerts.column.tells'), cell: describeTells },
    {
      key: 'last_fired',
      header: t('alerts.column.last_fired'),
      align: 'right',
      sortValue: (rule) => rule.last_fired_at,
      cell: (rule) => <Time value={rule.last_fired_at} mode="relative" fallback={t('alerts.never')} />,
    },
  ]
  return (
    <>
      <DataTable
        label={t('alerts.title')}
        columns={columns}
        rows={page.data?.data}
        rowKey={(rule) => rule.id}
        rowLabel={(rule) => `${rule.name}, ${rule.meter.name}`}
        actions={
          canWrite
            ? (rule) => [
                { label: t('alerts.edit'), icon: <Pencil />, onSelect: () => onEdit(rule) },
                {
                  label: t(rule.enabled ? 'alerts.disable' : 'alerts.enable'),
                  icon: rule.enabled ? <BellOff /> : <Bell />,
                  onSelect: () => void toggle.run({ rule, enabled: !rule.enabled }),
                },
                { label: t('alerts.archive'), icon: <Archive />, onSelect: () => setArchiving(rule) },
              ]
            : undefined
        }
        loading={page.loading}
        refreshing={page.refreshing}
        error={page.error}
        onRetry={page.reload}
        skeletonRows={4}
        empty={
          <EmptyState
            icon={<BellPlus />}
            title={t('alerts.empty.title')}
            description={t(canWrite ? 'alerts.empty.description' : 'alerts.empty.read_only')}
            action={emptyAction}
          />
        }
      />
      <ConfirmDialog
        open={archiving !== null}
        onOpenChange={(open) => (open ? undefined : setArchiving(null))}
        title={t('alerts.confirm.title', { name: archiving?.name ?? '' })}
        description={t('alerts.confirm.description')}
        confirmLabel={t('alerts.archive')}
        tone="danger"
        onConfirm={async () => {
          if (!archiving) return
          const { name } = await api<Alert>(`/alerts/${archiving.id}`, { method: 'DELETE' })
          toast.success(t('alerts.archived', { name }))
          setArchiving(null)
          page.reload()
        }}
      />
    </>
  )
}
