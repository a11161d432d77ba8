import type { Metadata } from 'next'
import type { ReactNode } from 'react'
import { brandIcon } from '@/features/portal/components/brand-icon'
import { PortalFrame } from '@/features/portal/components/portal-frame'
import { findPortal, getPageUser } from '@/libs/auth/page-access'
import { findStanding } from '@/libs/auth/standing'
import { t } from '@/libs/ui/messages'
import { failureTitle } from '@/libs/ui/shell/failure-title'
import { MessagePage } from '@/libs/ui/shell/message-page'

type Props = { params: Promise<{ tenant: string }>; children: ReactNode }

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  // Without a tenant the layout answers that there is no such page; asked here as well, that page would have no title.
  try {
    const { branding } = await findPortal((await params).tenant)
    const { display_name: name, primary_color } = branding
    return {
      title: { absolute: name, template: `%s · ${name}` },
      description: t('portal.page_description', { name }),
      icons: { icon: { url: brandIcon(name, primary_color), type: 'image/svg+xml' } },
    }
  } catch (error) {
    return { title: failureTitle(error) }
  }
}

export default async function PortalLayout({ params, children }: Props) {
  const { tenant, branding } = await findPortal((await params).tenant)
  const name = branding.display_name
  if (tenant.status === 'suspended') {
    return (
      <MessagePage
        title={t('portal.closed.suspended')}
        description={t('portal.closed.suspended_description', { name })}
      />
    )
  }
  if (tenant.status === 'pending') {
    return (
      <MessagePage title={t('portal.closed.pending')} description={t('portal.closed.pending_description', { name })} />
    )
  }
  const user = await getPageUser()
  const isCustomer = user !== null && (await findStanding(user.id, tenant.id)).customer_id !== null
  const { primary_color, accent_color, support_url } = branding
  return (
    <PortalFrame
      brand={{ name, primary_color, accent_color, support_url, time_zone: tenant.time_zone }}
      email={isCustomer ? user.email : null}
    >
      {children}
    </PortalFrame>
  )
}
