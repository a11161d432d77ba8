'use client'

import type { ReactNode } from 'react'
import { Badge } from '@/libs/ui/badge'
import type { Command } from '@/libs/ui/command-palette'
import { LogoMark } from '@/libs/ui/logo'
import type { MenuEntry } from '@/libs/ui/menu'
import { t } from '@/libs/ui/messages'
import type { NavSection } from '@/libs/ui/shell/nav'
import { SideShell } from '@/libs/ui/shell/side-shell'

export type OperatorShellProps = {
  /** `super_admin` or `support`, in words. */
  role: string
  /** The operator may look, not change. */
  readOnly?: boolean
  sections: readonly NavSection[]
  email: string
  userEntries?: readonly MenuEntry[]
  onSignOut: () => void
  commands?: readonly Command[]
  children: ReactNode
}

/** The operator console: plum, with a strip at the top, in light and dark, so that nobody takes it for a dashboard. */
export function OperatorShell({ role, readOnly = false, children, ...rest }: OperatorShellProps) {
  return (
    <SideShell
      {...rest}
      kind="operator"
      navLabel={t('ui.shell.operatorNav')}
      top={
        <div className="flex items-center gap-2.5 px-2 py-1.5">
          <LogoMark className="size-8" />
          <span className="min-w-0">
            <span className="block truncate font-semibold text-sidebar-ink text-sm">{t('ui.shell.operator')}</span>
            <span className="block truncate text-sidebar-faint text-xs">{role}</span>
          </span>
        </div>
      }
      topBar={readOnly ? <Badge tone="warning">{t('ui.shell.readOnly')}</Badge> : null}
    >
      {children}
    </SideShell>
  )
}
