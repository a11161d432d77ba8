import type { Metadata } from 'next'
import { SignOutButton } from '@/features/auth/components/sign-out-button'
import { TenantChooser } from '@/features/tenants/components/tenant-chooser'
import { requirePageUser } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'
import { AuthShell } from '@/libs/ui/shell/public-shell'

export const metadata: Metadata = { title: t('tenants.choose.title') }

export default async function TenantsPage() {
  const user = await requirePageUser()
  return (
    <AuthShell
      wide
      title={t('tenants.choose.title')}
      description={t('tenants.choose.description')}
      footer={
        <>
          {t('tenants.create.signed_in', { email: user.email })} · <SignOutButton />
        </>
      }
    >
      <TenantChooser email={user.email} />
    </AuthShell>
  )
}
