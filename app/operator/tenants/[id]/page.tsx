import type { Metadata } from 'next'
import { cache } from 'react'
import { TenantScreen } from '@/features/operator/components/tenant-screen'
import { getPageTenant } from '@/features/operator/services/tenant-page-service'
import { requirePageOperator } from '@/libs/auth/page-access'
import { orNotFound } from '@/libs/auth/page-row'
import { env } from '@/libs/env'

type Props = { params: Promise<{ id: string }> }

const requireTenant = cache(async (id: string) => {
  const { user } = await requirePageOperator()
  return getPageTenant(user, id).catch(orNotFound)
})

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  // Decoded by Next already, unlike those of the page.
  return { title: (await requireTenant((await params).id)).name }
}

export default async function OperatorTenantPage({ params }: Props) {
  const { role } = await requirePageOperator()
  const { id } = await requireTenant(decodeURIComponent((await params).id))
  return <TenantScreen id={id} canWrite={role === 'super_admin'} rootDomain={env().ROOT_DOMAIN} />
}
