'use client'

import { Building2, LayoutDashboard } from 'lucide-react'
import type { ReactNode } from 'react'
import { t } from '@/libs/ui/messages'
import { OperatorShell } from '@/libs/ui/shell/operator-shell'
import { SessionBanner } from '@/libs/ui/shell/session-banner'
import { useSession } from '@/libs/ui/shell/use-session'

/** The operator console around its pages. */
export function OperatorFrame({
  role,
  email,
  children,
}: {
  role: 'super_admin' | 'support'
  email: string
  children: ReactNode
}) {
  const { me, signOut } = useSession<unknown>()
  const toDashboard = t('operator.nav.to_dashboard')
  return (
    <OperatorShell
      role={t(`operator.role.${role}`)}
      readOnly={role === 'support'}
      sections={[
        { items: [{ href: '/operator', label: t('operator.nav.tenants'), icon: <Building2 />, shortcut: 'g t' }] },
      ]}
      email={email}
      userEntries={[{ label: toDashboard, href: '/tenants' }]}
      commands={[
        {
          id: 'dashboard',
          label: toDashboard,
          group: t('ui.shell.operator'),
          href: '/tenants',
          icon: <LayoutDashboard />,
        },
      ]}
      onSignOut={() => void signOut()}
    >
      <SessionBanner error={me.error} />
      {children}
    </OperatorShell>
  )
}
