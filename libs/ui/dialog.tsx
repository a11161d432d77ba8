'use client'

import { Dialog as Base } from '@base-ui/react/dialog'
import { X } from 'lucide-react'
import { type ReactNode, useRef } from 'react'
import { IconButton } from '@/libs/ui/button'
import { cx } from '@/libs/ui/cx'
import { useLastShown } from '@/libs/ui/last-shown'
import { t } from '@/libs/ui/messages'
import { useTypedGuard } from '@/libs/ui/unsaved'

/**
 * What is dimmed behind a dialog: the page, or the panel the dialog was opened in. To stand over that one, and be closed
 * without it, the dialog is among its children.
 */
export function Backdrop() {
  return (
    <Base.Backdrop
      forceRender
      className="fixed inset-0 z-50 min-h-dvh bg-black/35 transition-opacity duration-150 data-ending-style:opacity-0 data-starting-style:opacity-0 dark:bg-black/60"
    />
  )
}

/** The box of a dialog: centred, at the bottom on a phone. */
export const dialogBoxClass =
  'fixed inset-x-0 bottom-0 z-50 mx-auto flex max-h-[min(92dvh,56rem)] w-full flex-col rounded-t-2xl border border-line bg-raised text-ink shadow-dialog outline-none ' +
  'transition-[opacity,translate,scale] duration-150 data-ending-style:translate-y-4 data-ending-style:opacity-0 data-starting-style:translate-y-4 data-starting-style:opacity-0 ' +
  'sm:bottom-auto sm:top-[max(2rem,12dvh)] sm:max-h-[80dvh] sm:w-[calc(100vw-3rem)] sm:rounded-xl ' +
  'sm:data-ending-style:translate-y-0 sm:data-ending-style:scale-[0.98] sm:data-starting-style:translate-y-0 sm:data-starting-style:scale-[0.98]'

// A field that is disabled takes no focus, nor one that stands for one that is drawn.
const FIELD =
  ':is(input, textarea, select, [role=combobox], [role=checkbox], [role=radio][tabindex="0"]):not(:disabled, [data-disabled], [type=hidden], [aria-hidden=true])'

/** The first thing in a panel that can be filled in or chosen; null when there is none. */
export function findField(panel: Element | null): HTMLElement | null {
  return panel?.querySelector<HTMLElement>(FIELD) ?? null
}

const widths = { sm: 'sm:max-w-md', md: 'sm:max-w-lg', lg: 'sm:max-w-2xl', xl: 'sm:max-w-4xl' }

export type DialogProps = {
  open: boolean
  onOpenChange: (open: boolean) => void
  title: ReactNode
  description?: ReactNode
  /** Buttons, the main one last. */
  footer?: ReactNode
  size?: keyof typeof widths
  /** False: neither Escape nor a click outside closes it. */
  dismissible?: boolean
  /** False: a click outside does not close it; Escape and the close button do. Escape asks first where something was typed into a form. */
  closesOutside?: boolean
  children?: ReactNode
}

/**
 * A labelled, modal dialog; focus comes back to where it was when it closes.
 * To submit a form inside by a button in the footer, give the form an id and the button `type="submit" form={id}`.
 * @example <Dialog open={open} onOpenChange={setOpen} title="New tier" footer={<Button>Save</Button>}>…</Dialog>
 */
export function Dialog({
  open,
  onOpenChange,
  size = 'md',
  dismissible = true,
  closesOutside = dismissible,
  ...content
}: DialogProps) {
  const { title, description, footer, children } = useLastShown(open, content)
  const body = useRef<HTMLDivElement>(null)
  const closes = useTypedGuard(open, body)
  // The close button comes first in the document; people came for the first field.
  const firstField = () => findField(body.current) ?? true
  return (
    <Base.Root
      open={open}
      onOpenChange={(next, details) => {
        if (!next && !dismissible && (details.reason === 'escape-key' || details.reason === 'outside-press')) return
        if (closes(details.reason)) onOpenChange(next)
      }}
      disablePointerDismissal={!closesOutside}
    >
      <Base.Portal>
        <Backdrop />
        <Base.Popup initialFocus={firstField} className={cx(dialogBoxClass, widths[size])}>
          <header className="flex items-start gap-4 px-5 pt-4.5 pb-3 sm:px-6">
            <div className="min-w-0 flex-1">
              <Base.Title className="font-semibold text-lg tracking-tight">{title}</Base.Title>
              {description ? (
                <Base.Description className="mt-1 text-mute text-sm">{description}</Base.Description>
              ) : null}
            </div>
            {dismissible ? (
              <Base.Close
                render={
                  <IconButton label={t('ui.close')} icon={<X />} size="sm" className="-mt-0.5 -mr-2 order-last" />
                }
              />
            ) : null}
          </header>
          {children ? (
            <div ref={body} className="scrollbar-thin min-h-0 flex-1 overflow-y-auto px-5 pt-1 pb-5 sm:px-6">
              {children}
            </div>
          ) : null}
          {footer ? (
            <footer className="flex flex-col-reverse gap-2 rounded-b-xl border-t bg-sunken px-5 py-3.5 sm:flex-row sm:justify-end sm:px-6">
              {footer}
            </footer>
          ) : null}
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  )
}
