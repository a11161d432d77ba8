import type { Metadata, Viewport } from 'next'
import { headers } from 'next/headers'
import type { ReactNode } from 'react'
import { SkipLink } from '@/libs/ui/announcer'
import { t } from '@/libs/ui/messages'
import { Providers } from '@/libs/ui/providers'
import './globals.css'

export const metadata: Metadata = {
  title: { default: t('ui.product'), template: `%s · ${t('ui.product')}` },
  description: t('ui.productDescription'),
}

export const viewport: Viewport = {
  width: 'device-width',
  initialScale: 1,
  themeColor: [
    { media: '(prefers-color-scheme: light)', color: '#f8f9fa' },
    { media: '(prefers-color-scheme: dark)', color: '#0b0d10' },
  ],
}

export default async function RootLayout({ children }: { children: ReactNode }) {
  const nonce = (await headers()).get('x-nonce') ?? undefined
  return (
    <html lang="en" suppressHydrationWarning>
      <body>
        <Providers nonce={nonce}>
          <SkipLink />
          <div className="app-root">{children}</div>
        </Providers>
      </body>
    </html>
  )
}
