'use client'

import { ChartColumn, Layers, LayoutDashboard } from 'lucide-react'
import type { ReactNode } from 'react'
import { t } from '@/libs/ui/messages'
import { type PortalBrand, PortalShell } from '@/libs/ui/shell/portal-shell'
import { SessionBanner } from '@/libs/ui/shell/session-banner'
import { useSession } from '@/libs/ui/shell/use-session'

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
  if (email === null) return <PortalShell brand={brand}>{children}</PortalShell>
  return (
    <SignedInFrame brand={brand} email={email}>
      {children}
    </SignedInFrame>
  )
}

function SignedInFrame({ brand, email, children }: { brand: PortalBrand; email: string; children: ReactNode }) {
  const { me, other, signOut } = useSession(email)
  return (
    <PortalShell
      brand={brand}
      items={[
        { href: '/', label: t('portal.nav.overview'), icon: <LayoutDashboard />, exact: true },
        { href: '/usage', label: t('portal.nav.usage'), icon: <ChartColumn /> },
        { href: '/tiers', label: t('portal.nav.tiers'), icon: <Layers /> },
      ]}
      email={email}
      onSignOut={() => void signOut()}
    >
      <SessionBanner error={me.error} other={other} />
      {children}
    </PortalShell>
  )
}
