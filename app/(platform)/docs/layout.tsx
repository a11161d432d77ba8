import type { ReactNode } from 'react'
import { getPageUser } from '@/libs/auth/page-access'
import { t } from '@/libs/ui/messages'
import { PublicShell } from '@/libs/ui/shell/public-shell'

/** The documentation: public, in the frame of the landing page. */
export default async function DocsLayout({ children }: { children: ReactNode }) {
  const links = [
    { href: '/docs/api', label: t('docs.links.api') },
    { href: '/docs/errors', label: t('docs.links.errors') },
  ]
  return (
    <PublicShell links={links} signedIn={(await getPageUser()) !== null}>
      {children}
    </PublicShell>
  )
}
