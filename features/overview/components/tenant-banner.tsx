import type { MemberRole } from '@/libs/auth/permissions'
import type { TenantRouting } from '@/libs/tenancy/resolve-tenant'
import { Banner } from '@/libs/ui/banner'
import { TextLink } from '@/libs/ui/button'
import { t } from '@/libs/ui/messages'

/** Says what a tenant that is not active cannot do, and the way out; nothing for an active one, nor for a suspended one, whose pages are closed. */
export function TenantBanner({
  tenant,
  role,
  opensItself,
}: {
  tenant: Pick<TenantRouting, 'slug' | 'status'>
  role: MemberRole
  /** Whether a pending tenant is opened by its first event; otherwise an operator opens it. */
  opensItself: boolean
}) {
  const manages = role === 'owner' || role === 'admin'
  switch (tenant.status) {
    case 'pending':
      return (
        <Banner
          tone="info"
          title={t('overview.banner.pending_title')}
          className="mb-6"
          actions={
            manages ? (
              <TextLink href={`/${tenant.slug}#first-steps`}>{t('overview.banner.pending_action')}</TextLink>
            ) : null
          }
        >
          {t(opensItself ? 'overview.banner.pending' : 'overview.banner.pending_operator')}
        </Banner>
      )
    case 'past_due':
    case 'read_only':
      return (
        <Banner tone="warning" title={t(`overview.banner.${tenant.status}_title`)} className="mb-6">
          {t(`overview.banner.${tenant.status}`)}
        </Banner>
      )
    default:
      return null
  }
}
