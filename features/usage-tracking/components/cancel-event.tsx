'use client'

import { useState } from 'react'
import type { CorrectionResult } from '@/features/usage-tracking/services/correction-schema'
import { ConfirmDialog } from '@/libs/ui/confirm-dialog'
import { Field } from '@/libs/ui/field'
import { Input } from '@/libs/ui/input'
import { t } from '@/libs/ui/messages'
import { toast } from '@/libs/ui/toast'
import { useApiFetch } from '@/libs/ui/use-api'

/** Asks before an event is taken back. */
export function CancelEvent({
  event,
  open,
  onClose,
  onDone,
}: {
  event: { id: string; meter_name: string; user_id: string; value: number | string }
  open: boolean
  onClose: () => void
  onDone: () => void
}) {
  const api = useApiFetch()
  const [reason, setReason] = useState('')
  async function cancel() {
    const body = { action: 'cancel', id: event.id, ...(reason.trim() ? { reason: reason.trim() } : {}) }
    const { corrected } = await api<CorrectionResult>('/usage/correct?strict=true', { method: 'POST', body })
    toast.success(t(corrected > 0 ? 'events.cancel.done' : 'events.cancel.before'))
    setReason('')
    onDone()
  }
  return (
    <ConfirmDialog
      open={open}
      onOpenChange={(next) => !next && onClose()}
      tone="danger"
      title={t('events.cancel.title')}
      description={t('events.cancel.description')}
      confirmLabel={t('events.cancel.confirm')}
      cancelLabel={t('events.cancel.keep')}
      onConfirm={cancel}
    >
      <p className="mb-4">
        <code className="break-all font-mono text-xs">
          {event.meter_name}, {event.user_id}, {String(event.value)}
        </code>
      </p>
      <Field label={t('events.cancel.reason')} hint={t('events.cancel.reason_hint')} optional>
        <Input value={reason} maxLength={500} onChange={(change) => setReason(change.target.value)} />
      </Field>
    </ConfirmDialog>
  )
}
