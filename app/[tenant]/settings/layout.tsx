import type { ReactNode } from 'react'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'
import { PageHeader } from '@/libs/ui/page-header'
import { TabNav } from '@/libs/ui/tabs'

export default async function SettingsLayout({
  params,
  children,
}: {
  params: Promise<{ tenant: string }>
  children: ReactNode
}) {
  const { tenant, permissions } = await requirePageTenant((await params).tenant)
  const base = `/${tenant.slug}/settings`
  return (
    <>
      <PageHeader
        title={t('settings.title')}
        description={t('settings.description', { name: tenant.name })}
        className="mb-4"
      />
      <div className="mb-6">
        <TabNav
          label={t('settings.nav.label')}
          items={[
            { href: base, label: t('settings.nav.general'), exact: true },
            ...(permissions.includes('branding:read')
              ? [{ href: `${base}/branding`, label: t('settings.nav.branding') }]
              : []),
            ...(permissions.includes('usage:read') ? [{ href: `${base}/usage`, label: t('settings.nav.usage') }] : []),
            ...(permissions.includes('members:read')
              ? [{ href: `${base}/members`, label: t('settings.nav.members') }]
              : []),
          ]}
        />
      </div>
      <div className="max-w-4xl">{children}</div>
    </>
  )
}
