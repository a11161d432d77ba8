'use client'

import { ChartColumn, Layers, LayoutDashboard } from 'lucide-react'
import type { ReactNode } from 'react'
import { apiFetch } from '@/libs/ui/api-client'
import { t } from '@/libs/ui/messages'
import { type PortalBrand, PortalShell } from '@/libs/ui/shell/portal-shell'
import { toast } from '@/libs/ui/toast'

/** The portal around its pages: the tenant's brand, and the signed-in person. */
export function PortalFrame({
  brand,
  email,
  children,
}: {
  brand: PortalBrand
  email: string | null
  children: ReactNode
}) {
  async function signOut() {
    try {
      await apiFetch('/api/auth/sign-out', { method: 'POST' })
      window.location.assign('/sign-in')
    } catch (problem) {
      toast.problem(problem)
    }
  }
  if (email === null) return <PortalShell brand={brand}>{children}</PortalShell>
  return (
    <PortalShell
      brand={brand}
      items={[
        { href: '/', label: t('portal.nav.overview'), icon: <LayoutDashboard />, exact: true },
        { href: '/usage', label: t('portal.nav.usage'), icon: <ChartColumn /> },
        { href: '/tiers', label: t('portal.nav.tiers'), icon: <Layers /> },
      ]}
      user={{ name: '', email }}
      onSignOut={() => void signOut()}
    >
      {children}
    </PortalShell>
  )
}
