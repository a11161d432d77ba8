'use client'

import { BookOpen, Building2, Plus, ShieldUser } from 'lucide-react'
import { useRouter } from 'next/navigation'
import { type ReactNode, useEffect, useMemo, useState } from 'react'
import { dashboardCommands } from '@/features/overview/components/dashboard-commands'
import { dashboardSections } from '@/features/overview/components/dashboard-navigation'
import type { MemberRole, Permission } from '@/libs/auth/permissions'
import { LinkButton } from '@/libs/ui/button'
import { t } from '@/libs/ui/messages'
import { DashboardShell } from '@/libs/ui/shell/dashboard-shell'
import { SessionBanner } from '@/libs/ui/shell/session-banner'
import type { SwitcherTenant } from '@/libs/ui/shell/tenant-switcher'
import { useSession } from '@/libs/ui/shell/use-session'
import { useApi } from '@/libs/ui/use-api'
import { toWords } from '@/libs/ui/words'

type Me = {
  user: { email: string }
  operator: string | null
  tenants: ReadonlyArray<{ slug: string; name: string; role: string; plan_id: string; status: string }>
}

type OnboardingStatus = { completed: number; total: number; dismissed: boolean }

/** The dashboard around every page of a tenant: navigation by rights, tenants to switch to, first steps, commands. */
export function DashboardFrame({
  tenant,
  role,
  permissions,
  user,
  banner,
  children,
}: {
  tenant: { id: string; slug: string; name: string; plan_id: string; time_zone: string; status: string }
  role: MemberRole
  permissions: readonly Permission[]
  user: { id: string; email: string }
  banner: ReactNode
  children: ReactNode
}) {
  const router = useRouter()
  const { me, other, signOut } = useSession<Me>(user.email)
  // Suspended, opened or taken out of while one looks: the page is made anew for what holds now.
  const present = me.data?.tenants.find((other) => other.slug === tenant.slug)
  const changed = me.data !== undefined && (present?.status !== tenant.status || present.role !== role)
  // biome-ignore lint/correctness/useExhaustiveDependencies: with each answer that tells another state than the page shows
  useEffect(() => {
    if (changed) router.refresh()
  }, [changed, me.data, router])
  const [unfinished, setUnfinished] = useState(true)
  const steps = useApi<OnboardingStatus>(
    permissions.includes('onboarding:read') && tenant.status !== 'suspended'
      ? `/tenants/${tenant.slug}/onboarding-status`
      : null,
    unfinished ? { refreshMs: 5_000 } : {},
  )
  const progress = steps.data
  useEffect(() => {
    if (progress) setUnfinished(progress.completed < progress.total && !progress.dismissed)
  }, [progress])
  const sections = useMemo(() => dashboardSections(tenant.slug, role, permissions), [tenant.slug, role, permissions])
  const commands = useMemo(
    () => dashboardCommands(tenant.slug, tenant.id, role, permissions),
    [tenant.slug, tenant.id, role, permissions],
  )
  const current: SwitcherTenant & { time_zone: string } = {
    slug: tenant.slug,
    name: tenant.name,
    role: t(`settings.role.${role}`),
    plan: toWords(tenant.plan_id),
    status: tenant.status,
    time_zone: tenant.time_zone,
  }
  const others = (me.data?.tenants ?? []).map(
    (other): SwitcherTenant => ({
      slug: other.slug,
      name: other.name,
      role: isMemberRole(other.role) ? t(`settings.role.${other.role}`) : other.role,
      plan: toWords(other.plan_id),
      status: other.status,
    }),
  )
  const tenants = others.some((other) => other.slug === tenant.slug) ? others : [current, ...others]

  return (
    <DashboardShell
      tenant={current}
      tenants={tenants}
      createTenantHref="/create-tenant"
      sections={sections}
      email={user.email}
      userEntries={[
        { label: t('overview.nav.all_tenants'), icon: <Building2 />, href: '/tenants' },
        { label: t('overview.nav.new_tenant'), icon: <Plus />, href: '/create-tenant' },
        ...(me.data?.operator ? [{ label: t('overview.nav.operator'), icon: <ShieldUser />, href: '/operator' }] : []),
      ]}
      onSignOut={() => void signOut()}
      commands={commands}
      topBar={
        <LinkButton href="/docs/api" variant="ghost" icon={<BookOpen />} className="max-sm:w-8.5 max-sm:px-0">
          <span className="max-sm:sr-only">{t('overview.nav.docs')}</span>
        </LinkButton>
      }
      {...(progress && unfinished
        ? { firstSteps: { done: progress.completed, total: progress.total, href: `/${tenant.slug}#first-steps` } }
        : {})}
    >
      <SessionBanner error={me.error} other={other} />
      {banner}
      {children}
    </DashboardShell>
  )
}

const ROLES = ['owner', 'admin', 'member', 'compliance'] as const

function isMemberRole(role: string): role is MemberRole {
  return ROLES.some((known) => known === role)
}
