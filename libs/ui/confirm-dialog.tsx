'use client'

import { AlertDialog } from '@base-ui/react/alert-dialog'
import { TriangleAlert } from 'lucide-react'
import { type FormEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react'
import { describeProblem } from '@/libs/ui/api-client'
import { Button } from '@/libs/ui/button'
import { cx } from '@/libs/ui/cx'
import { Backdrop, dialogBoxClass } from '@/libs/ui/dialog'
import { Field } from '@/libs/ui/field'
import { formatNumber, type Numeric } from '@/libs/ui/format'
import { Input } from '@/libs/ui/input'
import { useLastShown } from '@/libs/ui/last-shown'
import { t } from '@/libs/ui/messages'
import { type ActOptions, useOnce } from '@/libs/ui/use-api'

export type ConfirmDialogProps = {
  open: boolean
  onOpenChange: (open: boolean) => void
  title: ReactNode
  description?: ReactNode
  /** Real counts of what goes or stops, such as `{ label: 'API keys', count: 3 }`. */
  consequences?: ReadonlyArray<{ label: string; count: Numeric }>
  confirmLabel: string
  cancelLabel?: string
  tone?: 'danger' | 'default'
  /** What has to be typed before the button works, such as the tenant's slug. */
  typed?: string
  /**
   * Does the act; the dialog stays open and shows the reason when it throws. A try after a lost answer has the same key, so
   * that nothing is done twice.
   */
  onConfirm: (options: ActOptions) => Promise<unknown>
  children?: ReactNode
}

/**
 * Asks before an act that is not easily undone. What can be undone gets an Undo in its toast instead.
 * @example <ConfirmDialog open={open} onOpenChange={setOpen} title="Suspend Acme" typed="acme" tone="danger" confirmLabel="Suspend" onConfirm={(options) => suspend(options)} />
 */
export function ConfirmDialog({
  open,
  onOpenChange,
  cancelLabel = t('ui.cancel'),
  tone = 'default',
  onConfirm,
  ...content
}: ConfirmDialogProps) {
  const { title, description, consequences, confirmLabel, typed, children } = useLastShown(open, content)
  const [answer, setAnswer] = useState('')
  const [pending, setPending] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  const opened = useRef(0)
  const busy = useRef(false)
  const once = useOnce()
  const formId = useId()

  useEffect(() => {
    if (!open) return
    setAnswer('')
    setProblem(null)
    opened.current += 1
  }, [open])

  const allowed = !typed || answer.trim() === typed

  async function submit(event: FormEvent) {
    event.preventDefault()
    event.stopPropagation()
    if (!allowed || busy.current) return
    busy.current = true
    setPending(true)
    setProblem(null)
    try {
      await once(opened.current, onConfirm)
      onOpenChange(false)
    } catch (error) {
      setProblem(describeProblem(error))
    } finally {
      busy.current = false
      setPending(false)
    }
  }

  return (
    <AlertDialog.Root open={open} onOpenChange={(next) => !pending && onOpenChange(next)}>
      <AlertDialog.Portal>
        <Backdrop />
        <AlertDialog.Popup className={cx(dialogBoxClass, 'sm:max-w-md')}>
          <form id={formId} method="dialog" onSubmit={submit} className="flex min-h-0 flex-col">
            <div className="scrollbar-thin min-h-0 overflow-y-auto px-5 pt-5 pb-5 sm:px-6">
              <div className="flex items-start gap-3.5">
                {tone === 'danger' ? (
                  <span className="flex size-9 shrink-0 items-center justify-center rounded-full bg-danger-soft text-danger-text">
                    <TriangleAlert aria-hidden="true" className="size-4.5" />
                  </span>
                ) : null}
                <div className="min-w-0 flex-1">
                  <AlertDialog.Title className="font-semibold text-lg tracking-tight">{title}</AlertDialog.Title>
                  {description ? (
                    <AlertDialog.Description className="mt-1 text-mute text-sm">{description}</AlertDialog.Description>
                  ) : null}
                </div>
              </div>
              {consequences?.length ? (
                <dl className="mt-4 divide-y divide-line rounded-lg border bg-sunken text-sm">
                  {consequences.map((item) => (
                    <div key={item.label} className="flex items-baseline justify-between gap-4 px-3 py-1.5">
                      <dt className="text-mute">{item.label}</dt>
                      <dd className="tabular font-medium">{formatNumber(item.count)}</dd>
                    </div>
                  ))}
                </dl>
              ) : null}
              {children ? <div className="mt-4 text-sm">{children}</div> : null}
              {typed ? (
                <Field className="mt-4" label={t('ui.confirm.type', { text: typed })}>
                  <Input
                    value={answer}
                    onChange={(event) => setAnswer(event.target.value)}
                    autoComplete="off"
                    autoCapitalize="none"
                    spellCheck={false}
                    className="font-mono"
                  />
                </Field>
              ) : null}
              {problem ? (
                <p role="alert" className="mt-4 rounded-md bg-danger-soft px-3 py-2 text-danger-text text-sm">
                  {problem}
                </p>
              ) : null}
            </div>
            <footer className="flex flex-col-reverse gap-2 rounded-b-xl border-t bg-sunken px-5 py-3.5 sm:flex-row sm:justify-end sm:px-6">
              <AlertDialog.Close render={<Button disabled={pending}>{cancelLabel}</Button>} />
              <Button
                type="submit"
                variant={tone === 'danger' ? 'danger' : 'primary'}
                loading={pending}
                disabled={!allowed}
              >
                {confirmLabel}
              </Button>
            </footer>
          </form>
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  )
}
