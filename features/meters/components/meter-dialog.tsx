'use client'

import { MeterForm } from '@/features/meters/components/meter-form'
import type { Meter } from '@/features/meters/components/meter-form-values'
import { FormDialog } from '@/libs/ui/form-dialog'
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
  return (
    <FormDialog
      open={open}
      onOpenChange={onOpenChange}
      size="lg"
      title={t(meter ? 'meters.form.edit_title' : 'meters.form.new_title')}
      description={meter ? undefined : t('meters.form.new_description')}
      submit={t(meter ? 'ui.save' : 'meters.create')}
    >
      {(form) => <MeterForm {...form} meter={meter} onSaved={onSaved} />}
    </FormDialog>
  )
}
