'use client'

import { AlertForm } from '@/features/alerts/components/alert-form'
import type { Alert } from '@/features/alerts/components/alert-text'
import { FormDialog } from '@/libs/ui/form-dialog'
import { t } from '@/libs/ui/messages'

/** Creates a rule, or changes the one that is given. */
export function AlertDialog({
  open,
  rule,
  onOpenChange,
  onSaved,
}: {
  open: boolean
  rule: Alert | null
  onOpenChange: (open: boolean) => void
  onSaved: (rule: Alert) => void
}) {
  return (
    <FormDialog
      open={open}
      onOpenChange={onOpenChange}
      size="lg"
      title={t(rule ? 'alerts.form.edit_title' : 'alerts.form.new_title')}
      description={rule ? undefined : t('alerts.form.new_description')}
      submit={t(rule ? 'ui.save' : 'alerts.create')}
    >
      {(form) => <AlertForm {...form} rule={rule} onSaved={onSaved} />}
    </FormDialog>
  )
}
