'use client'

import { BellPlus, BellRing, Plus } from 'lucide-react'
import { parseAsString, parseAsStringLiteral, useQueryStates } from 'nuqs'
import { AlertDialog } from '@/features/alerts/components/alert-dialog'
import type { Alert } from '@/features/alerts/components/alert-text'
import { FiringsTable } from '@/features/alerts/components/firings-table'
import { RulesTable } from '@/features/alerts/components/rules-table'
import type { Page } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { Segmented } from '@/libs/ui/segmented'
import { toast } from '@/libs/ui/toast'
import { useApi, useApiFetch, useMutation } from '@/libs/ui/use-api'
import { useEditDialog } from '@/libs/ui/use-edit-dialog'

const VIEWS = ['rules', 'firings'] as const

/** The rules of the tenant, and what they fired. */
export function AlertsScreen({ canWrite, customersHref }: { canWrite: boolean; customersHref?: string }) {
  const api = useApiFetch()
  const [{ view }, setView] = useQueryStates({
    view: parseAsStringLiteral(VIEWS).withDefault('rules'),
    cursor: parseAsString,
  })
  const dialog = useEditDialog<Alert>(t('alerts.create'), canWrite)
  const rules = useApi<Page<Alert>>('/alerts?limit=200', { whole: true })
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
      <Button variant="primary" icon={<Plus />} onClick={dialog.create}>
        {t('alerts.create')}
      </Button>
    </>
  ) : null

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
          onValueChange={(value) => void setView({ view: value === 'rules' ? null : value, cursor: null })}
        />
      </div>
      {view === 'rules' ? (
        <RulesTable
          page={rules}
          canWrite={canWrite}
          onEdit={dialog.edit}
          {...(customersHref ? { customersHref } : {})}
          emptyAction={acts ? <div className="flex flex-wrap justify-center gap-2">{acts}</div> : null}
        />
      ) : (
        <FiringsTable {...(customersHref ? { customersHref } : {})} />
      )}
      <AlertDialog
        open={dialog.open}
        rule={dialog.target}
        onOpenChange={(open) => !open && dialog.close()}
        onSaved={() => {
          dialog.close()
          rules.reload()
        }}
      />
    </>
  )
}
