'use client'

import { useId, useState } from 'react'
import { MeterForm } from '@/features/meters/components/meter-form'
import type { Meter } from '@/features/meters/components/meter-form-values'
import { Button } from '@/libs/ui/button'
import { Dialog } from '@/libs/ui/dialog'
import { t } from '@/libs/ui/messages'

/** Creates a meter, or changes what can be changed of the one that is given. */
export function MeterDialog({
  open,
  meter,
  onOpenChange,
  onSaved,
}: {
  open: boolean
  meter: Meter | null
  onOpenChange: (open: boolean) => void
  onSaved: (meter: Meter) => void
}) {
  const formId = useId()
  const [sending, setSending] = useState(false)
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      size="lg"
      title={t(meter ? 'meters.form.edit_title' : 'meters.form.new_title')}
      description={meter ? undefined : t('meters.form.new_description')}
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>{t('ui.cancel')}</Button>
          <Button type="submit" form={formId} variant="primary" loading={sending}>
            {t(meter ? 'ui.save' : 'meters.create')}
          </Button>
        </>
      }
    >
      <MeterForm id={formId} meter={meter} onSending={setSending} onSaved={onSaved} />
    </Dialog>
  )
}
