'use client'

import { ArrowRight } from 'lucide-react'
import Link from 'next/link'
import { t } from '@/libs/ui/messages'

/** "First steps, 3 of 6" with a bar, in the sidebar; leads to the list of steps. */
export function FirstSteps({ done, total, href }: { done: number; total: number; href: string }) {
  return (
    <Link
      href={href}
      className="group flex flex-col gap-2 rounded-lg border border-sidebar-line bg-sidebar-active p-2.5 text-sidebar-active-ink text-sm shadow-card hover:border-line-strong"
    >
      <span className="flex items-center justify-between gap-2">
        <span className="font-medium">{t('ui.shell.firstSteps')}</span>
        <span className="inline-flex items-center gap-1 text-sidebar-faint text-xs">
          {t('ui.shell.ofSteps', { done, total })}
          <ArrowRight aria-hidden="true" className="size-3 transition-transform group-hover:translate-x-0.5" />
        </span>
      </span>
      <span aria-hidden="true" className="flex gap-1">
        {Array.from({ length: total }, (_, index) => (
          <span
            // biome-ignore lint/suspicious/noArrayIndexKey: the place is the identity
            key={index}
            className={index < done ? 'h-1 flex-1 rounded-full bg-accent' : 'h-1 flex-1 rounded-full bg-hover'}
          />
        ))}
      </span>
    </Link>
  )
}
