import type { Metadata } from 'next'
import { cache } from 'react'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { TierScreen } from '@/features/tiers/components/tier-screen'
import { getTier } from '@/features/tiers/services/tier-service'
import { requirePageTenant } from '@/libs/auth/page-access'
import { readPageRow } from '@/libs/auth/page-row'
import { t } from '@/libs/ui/messages'

type Props = { params: Promise<{ tenant: string; id: string }> }

const findTier = cache((tenant: string, id: string) => readPageRow(tenant, 'tiers:read', () => getTier(id)))

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  const { tenant, id } = await params
  // Decoded by Next already, unlike those of the page.
  const row = await findTier(tenant, id)
  return { title: row?.name ?? t('tiers.title') }
}

export default async function TierPage({ params }: Props) {
  const { tenant: address, id: encoded } = await params
  const id = decodeURIComponent(encoded)
  const { tenant, permissions, role } = await requirePageTenant(address)
  await findTier(address, id)
  if (!permissions.includes('tiers:read')) return <NotAllowed title={t('tiers.title')} role={role} />
  return <TierScreen id={id} listHref={`/${tenant.slug}/tiers`} canWrite={permissions.includes('tiers:write')} />
}
