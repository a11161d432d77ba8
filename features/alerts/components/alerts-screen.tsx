'use client'

import { BellPlus, BellRing, Plus } from 'lucide-react'
import { parseAsBoolean, parseAsStringLiteral, useQueryStates } from 'nuqs'
import { useState } from 'react'
import { AlertDialog } from '@/features/alerts/components/alert-dialog'
import type { Alert } from '@/features/alerts/components/alert-text'
import { FiringsTable } from '@/features/alerts/components/firings-table'
import { RulesTable } from '@/features/alerts/components/rules-table'
import type { Page } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { Segmented } from '@/libs/ui/segmented'
import { useShortcut } from '@/libs/ui/shortcuts'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch, useMutation } from '@/libs/ui/use-api'

const VIEWS = ['rules', 'firings'] as const

/** The rules of the tenant, and what they fired. */
export function AlertsScreen({ canWrite, customersHref }: { canWrite: boolean; customersHref?: string }) {
  const api = useApiFetch()
  const [{ view, new: creating }, setState] = useQueryStates({
    view: parseAsStringLiteral(VIEWS).withDefault('rules'),
    new: parseAsBoolean.withDefault(false),
  })
  const [editing, setEditing] = useState<Alert | null>(null)
  const rules = useApi<Page<Alert>>('/alerts?limit=200')
  useShortcut('n', t('alerts.create'), () => canWrite && void setState({ new: true }))
  const standard = useMutation(
    (_: null, options) => api<{ created: Alert[] }>('/alerts/standard', { method: 'POST', ...options }),
    {
      onSuccess: ({ created }) => {
        toast.success(t('alerts.standard_made', { count: created.length }))
        rules.reload()
      },
      onError: (problem) => toast.problem(problem),
    },
  )
  const acts = canWrite ? (
    <>
      <Button icon={<BellPlus />} loading={standard.pending} onClick={() => void standard.run(null)}>
        {t('alerts.standard')}
      </Button>
      <Button variant="primary" icon={<Plus />} onClick={() => void setState({ new: true })}>
        {t('alerts.create')}
      </Button>
    </>
  ) : null
  const close = () => {
    setEditing(null)
    void setState({ new: null })
  }

  return (
    <>
      <PageHeader title={t('alerts.title')} description={t('alerts.description')} actions={acts} />
      <div className="mb-4">
        <Segmented
          label={t('alerts.view')}
          options={[
            { value: 'rules', label: t('alerts.view_rules'), icon: <BellPlus /> },
            { value: 'firings', label: t('alerts.view_firings'), icon: <BellRing /> },
          ]}
          value={view}
          onValueChange={(value) => void setState({ view: value === 'rules' ? null : value })}
        />
      </div>
      {view === 'rules' ? (
        <RulesTable
          page={rules}
          canWrite={canWrite}
          onEdit={setEditing}
          {...(customersHref ? { customersHref } : {})}
          emptyAction={acts ? <div className="flex flex-wrap justify-center gap-2">{acts}</div> : null}
        />
      ) : (
        <FiringsTable {...(customersHref ? { customersHref } : {})} />
      )}
      <AlertDialog
        open={(creating && canWrite) || editing !== null}
        rule={editing}
        onOpenChange={(open) => (open ? undefined : close())}
        onSaved={() => {
          close()
          rules.reload()
        }}
      />
    </>
  )
}
