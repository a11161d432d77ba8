'use client'

import { type FormEvent, useEffect, useId, useState } from 'react'
import type { BillingPeriodRow } from '@/features/billing-periods/schema'
import { dayIn, startOfDay } from '@/libs/tenancy/zoned-day'
import { Button } from '@/libs/ui/button'
import { Checkbox } from '@/libs/ui/checkbox'
import { Dialog } from '@/libs/ui/dialog'
import { Field } from '@/libs/ui/field'
import { ProblemNotice } from '@/libs/ui/form'
import { formatDate } from '@/libs/ui/format'
import { Input } from '@/libs/ui/input'
import { t } from '@/libs/ui/messages'
import { useTimeZone } from '@/libs/ui/time'
import { toast } from '@/libs/ui/toast'
import { useApiFetch, useMutation } from '@/libs/ui/use-api'

/** Closes the time since the last period, up to the beginning of a day or up to now. */
export function ClosePeriodDialog({
  open,
  since,
  onClose,
  onDone,
}: {
  open: boolean
  /** Where the period before ended; null for the first. */
  since: string | null
  onClose: () => void
  onDone: () => void
}) {
  const api = useApiFetch()
  const zone = useTimeZone()
  const formId = useId()
  const today = dayIn(zone)
  const first = `${today.slice(0, 8)}01`
  // Where all of the month up to today is billed already, there is only now.
  const isBilled = (day: string) => since !== null && startOfDay(day, 0, zone) <= new Date(since)
  const offered = isBilled(first) ? today : first
  const onlyNow = isBilled(offered)
  const [day, setDay] = useState(offered)
  const [now, setNow] = useState(false)
  const [fault, setFault] = useState<string>()
  const close = useMutation(
    (ends_at: string, options) =>
      api<BillingPeriodRow>('/billing-periods', { method: 'POST', body: { ends_at }, ...options }),
    {
      onSuccess: ({ lines }) => {
        toast.success(t('billing-periods.form.done', { count: lines }))
        onClose()
        onDone()
      },
      onError: (problem) => setFault(problem.errors[0]?.detail),
    },
  )
  const { reset } = close
  useEffect(() => {
    if (!open) return
    reset()
    setDay(offered)
    setNow(onlyNow)
    setFault(undefined)
  }, [open, offered, onlyNow, reset])
  function submit(event: FormEvent) {
    event.preventDefault()
    setFault(undefined)
    if (now) return void close.run(new Date().toISOString())
    if (!/^\d{4}-\d\d-\d\d$/.test(day) || day > today) return setFault(t('billing-periods.form.day_wrong'))
    void close.run(day)
  }
  return (
    <Dialog
      open={open}
      onOpenChange={(next) => !next && onClose()}
      size="sm"
      title={t('billing-periods.form.title')}
      description={
        since === null
          ? t('billing-periods.form.first')
          : t('billing-periods.form.description', { start: formatDate(since, 'exact', zone) })
      }
      footer={
        <>
          <Button onClick={onClose}>{t('ui.cancel')}</Button>
          <Button type="submit" form={formId} variant="primary" loading={close.pending}>
            {t('billing-periods.form.submit')}
          </Button>
        </>
      }
    >
      <form id={formId} method="dialog" onSubmit={submit} className="flex flex-col gap-4" noValidate>
        {close.error && close.error.errors.length === 0 ? <ProblemNotice problem={close.error} /> : null}
        <Field label={t('billing-periods.form.day')} hint={t('billing-periods.form.day_hint', { zone })} error={fault}>
          <Input type="date" value={day} max={today} disabled={now} onChange={(event) => setDay(event.target.value)} />
        </Field>
        <Checkbox label={t('billing-periods.form.now')} checked={now} onCheckedChange={setNow} />
      </form>
    </Dialog>
  )
}
