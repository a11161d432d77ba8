import type { Metadata } from 'next'
import { notFound } from 'next/navigation'
import type { ReactNode } from 'react'
import { getPageUser } from '@/libs/auth/page-access'
import { isMailPageOpen } from '@/libs/mail/mail-directory'
import { PublicShell } from '@/libs/ui/shell/public-shell'
import texts from '@/messages/en/mail.json'

export const dynamic = 'force-dynamic'
export const metadata: Metadata = { title: texts.title, robots: { index: false, follow: false } }

/** Mails that were written to files; as if it were not there wherever a mail server sends them. */
export default async function MailLayout({ children }: { children: ReactNode }) {
  if (!isMailPageOpen()) notFound()
  return (
    <PublicShell signedIn={(await getPageUser()) !== null}>
      <div className="mx-auto w-full max-w-4xl px-4 py-8 sm:px-6">{children}</div>
    </PublicShell>
  )
}
