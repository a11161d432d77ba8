'use client'

import { Building2, LayoutDashboard } from 'lucide-react'
import type { ReactNode } from 'react'
import { CommandFinders, type Finder } from '@/libs/ui/command-finders'
import { t } from '@/libs/ui/messages'
import { OperatorShell } from '@/libs/ui/shell/operator-shell'
import { SessionBanner } from '@/libs/ui/shell/session-banner'
import { useSession } from '@/libs/ui/shell/use-session'

/** Tenants are found by name and slug wherever one is. */
const FINDERS: readonly Finder[] = [
  {
    path: '/tenants',
    group: t('operator.nav.tenants'),
    icon: <Building2 />,
    toEntry: ({ id, name, slug = '' }) => ({ label: name ?? slug, detail: slug, href: `/operator/tenants/${id}` }),
  },
]

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
  const { me, other, signOut } = useSession(email)
  const toDashboard = t('operator.nav.to_dashboard')
  return (
    <CommandFinders finders={FINDERS}>
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
        <SessionBanner error={me.error} other={other} />
        {children}
      </OperatorShell>
    </CommandFinders>
  )
}
