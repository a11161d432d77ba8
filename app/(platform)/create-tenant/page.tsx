import type { Metadata } from 'next'
import { CreateTenantForm } from '@/features/tenants/components/create-tenant-form'
import { requirePageUser } from '@/libs/auth/page-access'
import { env } from '@/libs/env'
import { TextLink } from '@/libs/ui/button'
import { t } from '@/libs/ui/messages'
import { AuthShell } from '@/libs/ui/shell/public-shell'

export const metadata: Metadata = { title: t('tenants.create.title') }

export default async function CreateTenantPage() {
  const user = await requirePageUser()
  return (
    <AuthShell
      wide
      title={t('tenants.create.title')}
      description={t('tenants.create.description')}
      footer={
        <>
          {t('tenants.create.signed_in', { email: user.email })} ·{' '}
          <TextLink href="/tenants">{t('tenants.create.cancel')}</TextLink>
        </>
      }
    >
      <CreateTenantForm rootDomain={env().ROOT_DOMAIN} />
    </AuthShell>
  )
}
