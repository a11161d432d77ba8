import type { Metadata } from 'next'
import { NotAllowed } from '@/features/overview/components/not-allowed'
import { StripeExportsScreen } from '@/features/stripe-exports/components/stripe-exports-screen'
import { requirePageTenant } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'

export const metadata: Metadata = { title: t('stripe-exports.title') }

export default async function StripeExportsPage({ params }: { params: Promise<{ tenant: string }> }) {
  const { permissions, role } = await requirePageTenant((await params).tenant)
  if (!permissions.includes('stripe-exports:read')) return <NotAllowed title={t('stripe-exports.title')} role={role} />
  return <StripeExportsScreen canWrite={permissions.includes('stripe-exports:write')} />
}
