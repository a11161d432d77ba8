import type { Metadata } from 'next'
import type { ReactNode } from 'react'
import { RecordSearch } from '@/app/[tenant]/record-search'
import { TenantPages } from '@/app/[tenant]/tenant-pages'
import { DashboardFrame } from '@/features/overview/components/dashboard-frame'
import { SuspendedTenant } from '@/features/overview/components/suspended-tenant'
import { TenantBanner } from '@/features/overview/components/tenant-banner'
import { requirePageTenant } from '@/libs/auth/page-access'
import { env } from '@/libs/env'
import { t } from '@/libs/ui/messages'
import { failureTitle } from '@/libs/ui/shell/failure-title'

type Props = { params: Promise<{ tenant: string }>; children: ReactNode }

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  // Without a tenant the layout answers that there is no such page; asked here as well, that page would have no title.
  try {
    const { tenant } = await requirePageTenant((await params).tenant)
    return { title: { default: tenant.name, template: `%s · ${tenant.name} · ${t('ui.product')}` } }
  } catch (error) {
    return { title: failureTitle(error) }
  }
}

export default async function TenantLayout({ params, children }: Props) {
  const { tenant, user, role, permissions } = await requirePageTenant((await params).tenant)
  const { id, slug, name, plan_id, time_zone, status } = tenant
  return (
    <RecordSearch slug={slug} permissions={permissions}>
      <DashboardFrame
        key={id}
        tenant={{ id, slug, name, plan_id, time_zone, status }}
        role={role}
        permissions={permissions}
        user={user}
        banner={<TenantBanner tenant={tenant} role={role} opensItself={env().ONBOARDING_AUTO_ACTIVATE} />}
      >
        <TenantPages closed={status === 'suspended' ? <SuspendedTenant name={name} /> : null}>{children}</TenantPages>
      </DashboardFrame>
    </RecordSearch>
  )
}
