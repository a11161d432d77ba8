'use client'

import { type FormEvent, useEffect, useId, useState } from 'react'
import type { z } from 'zod'
import type { CorrectionResult } from '@/features/usage-tracking/services/correction-schema'
import type { usageEvent } from '@/features/usage-tracking/services/event-schema'
import { isExactNumber, parseExactly } from '@/libs/ingest/exact-number'
import { describeProblem } from '@/libs/ui/api-client'
import { Banner } from '@/libs/ui/banner'
import { Button } from '@/libs/ui/button'
import { Dialog } from '@/libs/ui/dialog'
import { Field } from '@/libs/ui/field'
import { toDecimalText } from '@/libs/ui/format'
import { Input, Textarea } from '@/libs/ui/input'
import { t } from '@/libs/ui/messages'
import { toast } from '@/libs/ui/toast'
import { useTypedForm } from '@/libs/ui/unsaved'
import { useApiFetch, useMutation } from '@/libs/ui/use-api'

type UsageEvent = z.infer<typeof usageEvent>
type Draft = { value: string; time: string; customer: string; properties: string; reason: string }
type Faults = Partial<Record<keyof Draft | 'form', string>>

const DECIMAL = /^[+-]?\d{1,30}(\.\d{1,20})?$/

const draftOf = (event: UsageEvent): Draft => ({
  value: toDecimalText(event.value),
  time: event.occurred_at,
  customer: event.user_id,
  properties: JSON.stringify(event.properties ?? {}, null, 2),
  reason: '',
})

/** A list or an object, which no property is. */
const isCompound = (value: unknown): boolean => typeof value === 'object' && value !== null && !isExactNumber(value)

function readProperties(text: string): Record<string, unknown> | null {
  try {
    const value = parseExactly(text.trim() === '' ? '{}' : text)
    const scalars = typeof value === 'object' && value !== null && !Array.isArray(value)
    if (!scalars || Object.values(value).some(isCompound)) return null
    return value as Record<string, unknown>
  } catch {
    return null
  }
}

/** What is different, as a correction; or what is wrong with it, by field. */
function readDraft(event: UsageEvent, draft: Draft): { change: Record<string, unknown> } | { faults: Faults } {
  const faults: Faults = {}
  const properties = readProperties(draft.properties)
  if (!DECIMAL.test(draft.value.trim())) faults.value = t('events.amend.value_wrong')
  if (Number.isNaN(Date.parse(draft.time.trim()))) faults.time = t('events.amend.time_wrong')
  if (draft.customer.trim() === '') faults.customer = t('events.amend.customer_required')
  if (properties === null) faults.properties = t('events.amend.properties_wrong')
  if (Object.keys(faults).length > 0) return { faults }
  const change: Record<string, unknown> = {}
  if (draft.value.trim() !== toDecimalText(event.value)) change.event_value = draft.value.trim()
  if (draft.time.trim() !== event.occurred_at) change.timestamp = draft.time.trim()
  if (draft.customer.trim() !== event.user_id) change.user_id = draft.customer.trim()
  if (JSON.stringify(properties) !== JSON.stringify(event.properties ?? {}))
    change.properties = Object.keys(properties ?? {}).length > 0 ? properties : null
  if (Object.keys(change).length === 0) return { faults: { form: t('events.amend.unchanged') } }
  if (draft.reason.trim()) change.reason = draft.reason.trim()
  return { change }
}

/** Changes an event: it is taken back, and another stands instead. */
export function AmendDialog({
  event,
  open,
  onClose,
  onDone,
}: {
  event: UsageEvent
  open: boolean
  onClose: () => void
  onDone: () => void
}) {
  const api = useApiFetch()
  const formId = useId()
  const [draft, setDraft] = useState(() => draftOf(event))
  const [faults, setFaults] = useState<Faults>({})
  useEffect(() => {
    if (!open) return
    setDraft(draftOf(event))
    setFaults({})
  }, [open, event])
  const amend = useMutation(
    (change: Record<string, unknown>, options) =>
      api<CorrectionResult>('/usage/correct?strict=true', {
        method: 'POST',
        body: { action: 'amend', id: event.id, ...change },
        ...options,
      }),
    {
      onSuccess: ({ corrected }) => {
        toast.success(t(corrected > 0 ? 'events.amend.done' : 'events.amend.before'))
        onClose()
        onDone()
      },
      onError: (problem) => setFaults({ form: problem.errors[0]?.detail ?? describeProblem(problem) }),
    },
  )
  function submit(submission: FormEvent) {
    submission.preventDefault()
    const read = readDraft(event, draft)
    if ('faults' in read) return setFaults(read.faults)
    setFaults({})
    void amend.run(read.change)
  }
  const unsaved = useTypedForm(open && JSON.stringify(draft) !== JSON.stringify(draftOf(event)))
  const set = (name: keyof Draft) => (change: { target: { value: string } }) =>
    setDraft((old) => ({ ...old, [name]: change.target.value }))
  return (
    <Dialog
      open={open}
      onOpenChange={(next) => !next && onClose()}
      title={t('events.amend.title')}
      description={t('events.amend.description')}
      footer={
        <>
          <Button onClick={onClose}>{t('ui.cancel')}</Button>
          <Button type="submit" form={formId} variant="primary" loading={amend.pending}>
            {t('events.amend.confirm')}
          </Button>
        </>
      }
    >
      <form id={formId} method="dialog" {...unsaved} onSubmit={submit} className="flex flex-col gap-4" noValidate>
        {faults.form ? <Banner tone="danger" title={faults.form} /> : null}
        <Field label={t('events.amend.value')} error={faults.value}>
          <Input value={draft.value} onChange={set('value')} inputMode="decimal" autoComplete="off" />
        </Field>
        <Field label={t('events.amend.time')} hint={t('events.amend.time_hint')} error={faults.time}>
          <Input value={draft.time} onChange={set('time')} autoComplete="off" spellCheck={false} />
        </Field>
        <Field label={t('events.amend.customer')} error={faults.customer}>
          <Input value={draft.customer} onChange={set('customer')} autoComplete="off" spellCheck={false} />
        </Field>
        <Field label={t('events.amend.properties')} error={faults.properties}>
          <Textarea
            value={draft.properties}
            onChange={set('properties')}
            rows={5}
            spellCheck={false}
            className="font-mono text-xs"
          />
        </Field>
        <Field label={t('events.cancel.reason')} hint={t('events.cancel.reason_hint')} optional>
          <Input value={draft.reason} onChange={set('reason')} maxLength={500} />
        </Field>
      </form>
    </Dialog>
  )
}
