'use client'

import { type ReactNode, useId, useState } from 'react'
import { Button } from '@/libs/ui/button'
import { Dialog, type DialogProps } from '@/libs/ui/dialog'
import { t } from '@/libs/ui/messages'

/** What a form in a dialog needs: the id its button names, and whom to tell that it is under way. */
export type FormInDialog = { id: string; onSending: (sending: boolean) => void }

/**
 * A dialog around one form, with Cancel and the button that sends it. A click beside it does not close it: what was typed
 * would be lost.
 * @example <FormDialog open={open} onOpenChange={setOpen} title="New meter" submit="Create meter">{(form) => <MeterForm {...form} />}</FormDialog>
 */
export function FormDialog({
  submit,
  children,
  ...dialog
}: Omit<DialogProps, 'footer' | 'children' | 'dismissible' | 'closesOutside'> & {
  /** What the button says. */
  submit: string
  children: (form: FormInDialog) => ReactNode
}) {
  const id = useId()
  const [sending, setSending] = useState(false)
  return (
    <Dialog
      {...dialog}
      closesOutside={false}
      footer={
        <>
          <Button onClick={() => dialog.onOpenChange(false)}>{t('ui.cancel')}</Button>
          <Button type="submit" form={id} variant="primary" loading={sending}>
            {submit}
          </Button>
        </>
      }
    >
      {children({ id, onSending: setSending })}
    </Dialog>
  )
}
