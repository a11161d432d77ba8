'use client'

import { Dialog as Base } from '@base-ui/react/dialog'
import { X } from 'lucide-react'
import { type ReactNode, useRef } from 'react'
import { IconButton } from '@/libs/ui/button'
import { cx } from '@/libs/ui/cx'
import { Backdrop, findField } from '@/libs/ui/dialog'
import { useLastShown } from '@/libs/ui/last-shown'
import { t } from '@/libs/ui/messages'
import { useTypedGuard } from '@/libs/ui/unsaved'

const panel =
  'fixed inset-y-0 z-50 flex h-dvh flex-col bg-raised text-ink shadow-dialog outline-none transition-transform duration-200 ease-out'

/**
 * A panel from the left, such as the navigation on a phone. `label` names it for screen readers.
 * @example <Sheet open={open} onOpenChange={setOpen} label="Navigation"><Nav /></Sheet>
 */
export function Sheet({
  open,
  onOpenChange,
  label,
  className,
  children,
}: {
  open: boolean
  onOpenChange: (open: boolean) => void
  label: string
  className?: string
  children: ReactNode
}) {
  return (
    <Base.Root open={open} onOpenChange={onOpenChange}>
      <Base.Portal>
        <Backdrop />
        <Base.Popup
          aria-label={label}
          className={cx(
            panel,
            'left-0 w-72 max-w-[86vw] border-r data-ending-style:-translate-x-full data-starting-style:-translate-x-full',
            className,
          )}
        >
          <Base.Close
            render={
              <IconButton label={t('ui.close')} icon={<X />} className="absolute top-2.5 right-2.5 z-10 text-inherit" />
            }
          />
          {children}
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  )
}

const widths = { md: 'sm:w-[30rem]', lg: 'sm:w-[42rem]' }

/**
 * The details of one row, from the right, over the list that stays where it was. Its content may be gone
 * once it is closed: the last one is shown until it has moved away.
 * @example <Drawer open={entry !== null} onOpenChange={close} title="customer.updated" description={<Time value={at} />}>…</Drawer>
 */
export function Drawer({
  open,
  onOpenChange,
  size = 'md',
  closesOutside = true,
  ...content
}: {
  open: boolean
  onOpenChange: (open: boolean) => void
  /** False: a click outside does not close it, for what was typed in it would be lost. */
  closesOutside?: boolean
  title: ReactNode
  description?: ReactNode
  /** Small buttons beside the close button, such as previous and next. */
  actions?: ReactNode
  footer?: ReactNode
  size?: keyof typeof widths
  children: ReactNode
}) {
  const { title, description, actions, footer, children } = useLastShown(open, content)
  const body = useRef<HTMLDivElement>(null)
  const buttons = useRef<HTMLDivElement>(null)
  const closes = useTypedGuard(open, body)
  // Not a time in the heading: its tooltip would open, and take the first Escape for itself.
  const first = () => findField(body.current) ?? buttons.current?.querySelector<HTMLElement>('button:enabled') ?? true
  return (
    <Base.Root
      open={open}
      onOpenChange={(next, details) => closes(details.reason) && onOpenChange(next)}
      disablePointerDismissal={!closesOutside}
    >
      <Base.Portal>
        <Backdrop />
        <Base.Popup
          initialFocus={first}
          className={cx(
            panel,
            'right-0 w-full border-l data-ending-style:translate-x-full data-starting-style:translate-x-full',
            widths[size],
          )}
        >
          <header className="flex flex-wrap items-start justify-end gap-x-3 gap-y-2 border-b px-5 py-4">
            <div className="min-w-0 flex-1 basis-52">
              <Base.Title className="wrap-anywhere font-semibold text-lg tracking-tight">{title}</Base.Title>
              {description ? (
                <Base.Description render={<div />} className="mt-0.5 text-mute text-sm">
                  {description}
                </Base.Description>
              ) : null}
            </div>
            <div ref={buttons} className="-mr-1.5 flex items-center gap-1">
              {actions}
              <Base.Close render={<IconButton label={t('ui.close')} icon={<X />} size="sm" />} />
            </div>
          </header>
          <div ref={body} className="scrollbar-thin min-h-0 flex-1 overflow-y-auto px-5 py-5">
            {children}
          </div>
          {footer ? <footer className="flex justify-end gap-2 border-t bg-sunken px-5 py-3.5">{footer}</footer> : null}
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  )
}
