'use client'

import { CircleAlert, CircleCheck, Info, OctagonX } from 'lucide-react'
import type { ReactNode } from 'react'
import { cx } from '@/libs/ui/cx'

const tones = {
  info: ['border-info/35 bg-info-soft text-info-text', Info],
  success: ['border-success/35 bg-success-soft text-success-text', CircleCheck],
  warning: ['border-warning/40 bg-warning-soft text-warning-text', CircleAlert],
  danger: ['border-danger/40 bg-danger-soft text-danger-text', OctagonX],
} as const

/**
 * A notice in the page: a state that lasts and what to do about it.
 * @example <Banner tone="warning" title="This tenant is read-only" actions={<LinkButton href="…">See plan</LinkButton>}>…</Banner>
 */
export function Banner({
  tone = 'info',
  title,
  actions,
  className,
  children,
}: {
  tone?: keyof typeof tones
  title: ReactNode
  actions?: ReactNode
  className?: string
  children?: ReactNode
}) {
  const [color, Icon] = tones[tone]
  return (
    <div
      className={cx('flex flex-wrap items-start gap-x-3 gap-y-2 rounded-lg border px-4 py-3 text-sm', color, className)}
    >
      <Icon aria-hidden="true" className="mt-0.5 size-4 shrink-0" />
      <div className="min-w-0 flex-1 basis-56">
        <p className="font-semibold">{title}</p>
        {children ? <div className="mt-0.5">{children}</div> : null}
      </div>
      {actions ? <div className="flex flex-wrap items-center gap-2">{actions}</div> : null}
    </div>
  )
}
