'use client'

import type { ReactNode } from 'react'
import type { Command } from '@/libs/ui/command-palette'
import type { MenuEntry } from '@/libs/ui/menu'
import { t } from '@/libs/ui/messages'
import { FirstSteps } from '@/libs/ui/shell/first-steps'
import type { NavSection } from '@/libs/ui/shell/nav'
import { SideShell } from '@/libs/ui/shell/side-shell'
import { type SwitcherTenant, TenantSwitcher } from '@/libs/ui/shell/tenant-switcher'
import { TimeZoneProvider } from '@/libs/ui/time'
import { ApiBaseProvider } from '@/libs/ui/use-api'

export type DashboardShellProps = {
  tenant: SwitcherTenant & { time_zone?: string }
  tenants: readonly SwitcherTenant[]
  createTenantHref: string
  sections: readonly NavSection[]
  email: string
  userEntries?: readonly MenuEntry[]
  onSignOut: () => void
  /** Leave out when all are done or they were dismissed. */
  firstSteps?: { done: number; total: number; href: string }
  commands?: readonly Command[]
  topBar?: ReactNode
  children: ReactNode
}

/**
 * The dashboard of a tenant: everything inside calls the API for this tenant (`useApi`, `useApiFetch`) and writes times
 * in its zone.
 * @example <DashboardShell tenant={tenant} tenants={mine} sections={sections} email={email} onSignOut={signOut}>{children}</DashboardShell>
 */
export function DashboardShell({
  tenant,
  tenants,
  createTenantHref,
  firstSteps,
  commands = [],
  children,
  ...rest
}: DashboardShellProps) {
  const switches: Command[] = tenants
    .filter((other) => other.slug !== tenant.slug)
    .map((other) => ({
      id: `switch:${other.slug}`,
      label: t('ui.palette.switchTo', { name: other.name }),
      group: t('ui.shell.tenants'),
      href: `/${other.slug}`,
      keywords: other.slug,
    }))
  return (
    <ApiBaseProvider base={`/tenants/${tenant.slug}`}>
      <TimeZoneProvider timeZone={tenant.time_zone ?? 'UTC'}>
        <SideShell
          {...rest}
          kind="dashboard"
          navLabel={t('ui.shell.nav')}
          commands={[...commands, ...switches]}
          top={<TenantSwitcher current={tenant} tenants={tenants} createHref={createTenantHref} />}
          bottom={firstSteps ? <FirstSteps {...firstSteps} /> : null}
        >
          {children}
        </SideShell>
      </TimeZoneProvider>
    </ApiBaseProvider>
  )
}
