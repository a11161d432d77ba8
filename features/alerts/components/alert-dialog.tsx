'use client'

import { useId, useState } from 'react'
import { AlertForm } from '@/features/alerts/components/alert-form'
import type { Alert } from '@/features/alerts/components/alert-text'
import { Button } from '@/libs/ui/button'
import { Dialog } from '@/libs/ui/dialog'
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
  const formId = useId()
  const [sending, setSending] = useState(false)
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      size="lg"
      title={t(rule ? 'alerts.form.edit_title' : 'alerts.form.new_title')}
      description={rule ? undefined : t('alerts.form.new_description')}
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>{t('ui.cancel')}</Button>
          <Button type="submit" form={formId} variant="primary" loading={sending}>
            {t(rule ? 'ui.save' : 'alerts.create')}
          </Button>
        </>
      }
    >
      <AlertForm id={formId} rule={rule} onSending={setSending} onSaved={onSaved} />
    </Dialog>
  )
}
