import type { Metadata } from 'next'
import { LandingScreen } from '@/features/landing/components/landing-screen'
import { getPageUser } from '@/libs/auth/page-access'
import { env } from '@/libs/env'
import { publicOrigin } from '@/libs/tenancy/public-origin'
import { t } from '@/libs/ui/messages'
import { PublicShell } from '@/libs/ui/shell/public-shell'

const title = `Holdfast · ${t('landing.title')}`

export const metadata: Metadata = {
  title: { absolute: title },
  openGraph: { type: 'website', siteName: t('ui.product'), title, description: t('ui.productDescription') },
}

/** The first moment of the next month of the calendar, in UTC. */
function monthEnd(now: Date): string {
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1)).toISOString()
}

export default async function LandingPage() {
  const { ROOT_DOMAIN, INGEST_URL, TENANT_SUBDOMAIN_ENABLED } = env()
  const origin = INGEST_URL?.replace(/\/$/, '') ?? publicOrigin('app')
  const signedIn = (await getPageUser()) !== null
  const links = [
    { href: '/docs/api', label: t('landing.links.api') },
    { href: '/docs/errors', label: t('landing.links.errors') },
  ]
  return (
    <PublicShell links={links} signedIn={signedIn}>
      <LandingScreen
        signedIn={signedIn}
        rootDomain={ROOT_DOMAIN}
        subdomains={TENANT_SUBDOMAIN_ENABLED}
        usageOrigin={origin}
        resetAt={monthEnd(new Date())}
      />
    </PublicShell>
  )
}
