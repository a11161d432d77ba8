'use client'

import { Toast as Base } from '@base-ui/react/toast'
import { CircleAlert, CircleCheck, Info, X } from 'lucide-react'
import { ApiProblem, describeProblem } from '@/libs/ui/api-client'
import { IconButton } from '@/libs/ui/button'
import { t } from '@/libs/ui/messages'

const manager = Base.createToastManager()

type ToastOptions = { description?: string; action?: { label: string; onClick: () => void }; timeoutMs?: number }

function add(type: string, title: string, options: ToastOptions = {}, priority: 'low' | 'high' = 'low'): string {
  const id: string = manager.add({
    type,
    title,
    description: options.description,
    priority,
    timeout: options.timeoutMs ?? (options.action ? 10_000 : type === 'error' ? 12_000 : 5_000),
    actionProps: options.action
      ? {
          children: options.action.label,
          onClick: () => {
            manager.close(id)
            options.action?.onClick()
          },
        }
      : undefined,
  })
  return id
}

/**
 * Short news at the edge of the screen, announced to screen readers; F6 moves the focus there.
 * @example toast.success('Tier created') · toast.problem(error) · toast.undo('Key disabled', enableAgain)
 */
export const toast = Object.freeze({
  success: (title: string, options?: ToastOptions) => add('success', title, options),
  info: (title: string, options?: ToastOptions) => add('info', title, options),
  error: (title: string, options?: ToastOptions) => add('error', title, options, 'high'),
  /** Says what an error of the API said, with the request id. */
  problem: (error: unknown, title: string = t('ui.error.failed')) =>
    add(
      'error',
      title,
      {
        description:
          error instanceof ApiProblem && error.request_id
            ? `${error.detail} (${t('ui.error.requestId', { id: error.request_id })})`
            : describeProblem(error),
      },
      'high',
    ),
  /** Says that something reversible was done, with ten seconds to undo it. */
  undo: (title: string, undo: () => void) => add('success', title, { action: { label: t('ui.undo'), onClick: undo } }),
})

function ToastIcon({ type }: { type: string | undefined }) {
  if (type === 'success') return <CircleCheck aria-hidden="true" className="mt-0.5 size-4 shrink-0 text-success-text" />
  if (type === 'error') return <CircleAlert aria-hidden="true" className="mt-0.5 size-4 shrink-0 text-danger-text" />
  return <Info aria-hidden="true" className="mt-0.5 size-4 shrink-0 text-info-text" />
}

function ToastList() {
  const { toasts } = Base.useToastManager()
  return toasts.map((item) => (
    <Base.Root
      key={item.id}
      toast={item}
      data-toast=""
      className="relative w-full rounded-lg border bg-raised text-ink shadow-pop transition-[opacity,translate] duration-200 data-ending-style:translate-x-4 data-ending-style:opacity-0 data-limited:hidden data-starting-style:translate-y-3 data-starting-style:opacity-0"
    >
      <Base.Content className="flex items-start gap-2.5 py-3 pr-2 pl-3.5">
        <ToastIcon type={item.type} />
        <div className="min-w-0 flex-1">
          <Base.Title className="font-medium text-sm" render={<p />} />
          <Base.Description className="mt-0.5 break-words text-mute text-sm" />
          <Base.Action className="mt-1.5 inline-flex h-7 items-center rounded-md border border-line-strong px-2.5 font-medium text-xs hover:bg-hover empty:hidden" />
        </div>
        <Base.Close render={<IconButton label={t('ui.dismiss')} icon={<X />} size="sm" className="-my-1" />} />
      </Base.Content>
    </Base.Root>
  ))
}

/** Where toasts appear; once, in the root layout. */
export function Toaster() {
  return (
    <Base.Provider toastManager={manager} limit={4}>
      <Base.Portal>
        <Base.Viewport
          aria-label={t('ui.notifications')}
          className="fixed inset-x-3 bottom-3 z-60 flex flex-col-reverse gap-2 outline-none sm:inset-x-auto sm:right-5 sm:bottom-5 sm:w-96"
        >
          <ToastList />
        </Base.Viewport>
      </Base.Portal>
    </Base.Provider>
  )
}
