'use client'

import { Building2, LayoutDashboard } from 'lucide-react'
import type { ReactNode } from 'react'
import { apiFetch } from '@/libs/ui/api-client'
import { t } from '@/libs/ui/messages'
import { OperatorShell } from '@/libs/ui/shell/operator-shell'
import { SignedOutBanner } from '@/libs/ui/shell/signed-out-banner'
import { toast } from '@/libs/ui/toast'
import { useApi } from '@/libs/ui/use-api'

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
  const session = useApi<unknown>('/me', { refreshMs: 30_000 })

  async function signOut() {
    try {
      await apiFetch('/api/auth/sign-out', { method: 'POST' })
      window.location.assign('/sign-in')
    } catch (problem) {
      toast.problem(problem)
    }
  }
  const tenants = t('operator.nav.tenants')
  const toDashboard = t('operator.nav.to_dashboard')
  return (
    <OperatorShell
      role={t(`operator.role.${role}`)}
      readOnly={role === 'support'}
      sections={[{ items: [{ href: '/operator', label: tenants, icon: <Building2 />, shortcut: 'g t' }] }]}
      user={{ name: '', email }}
      userEntries={[{ label: toDashboard, href: '/tenants' }]}
      commands={[
        { id: 'tenants', label: tenants, group: t('ui.shell.operator'), href: '/operator', icon: <Building2 /> },
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
      <SignedOutBanner error={session.error} />
      {children}
    </OperatorShell>
  )
}
