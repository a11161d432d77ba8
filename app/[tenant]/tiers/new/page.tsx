import type { Metadata } from 'next'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { NewTierScreen } from '@/features/tiers/components/tier-screen'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('tiers.form.new_title') }

export default async function NewTierPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { tenant, permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('tiers:write')) return <NotAllowed title={t('tiers.form.new_title')} role={role} />
  return <NewTierScreen listHref={`/${tenant.slug}/tiers`} />
}
