'use client'

import Link from 'next/link'
import { usePathname } from 'next/navigation'
import type { ReactNode } from 'react'
import { Avatar } from '@/libs/ui/avatar'
import { brandCss } from '@/libs/ui/color'
import { cx } from '@/libs/ui/cx'
import { t } from '@/libs/ui/messages'
import { useNonce } from '@/libs/ui/providers'
import { isCurrent, type NavItem } from '@/libs/ui/shell/nav'
import { UserMenu } from '@/libs/ui/shell/user-menu'
import { ThemeToggle } from '@/libs/ui/theme-toggle'
import { TimeZoneProvider } from '@/libs/ui/time'

export type PortalBrand = {
  name: string
  /** `#rrggbb`; adjusted until it can be read. */
  primary_color: string
  /** `#rrggbb` of the line at the top. */
  accent_color: string
  support_url?: string | null
  time_zone?: string
}

/** The colours of a tenant for everything on the page, popups included. Nothing but hex colours gets through. */
function BrandStyle({ primary_color, accent_color }: PortalBrand) {
  const nonce = useNonce()
  const css = brandCss(primary_color, accent_color)
  if (!css) return null
  return (
    <style nonce={nonce} suppressHydrationWarning>
      {css}
    </style>
  )
}

/**
 * The portal of a tenant: its name and colour, and no word of the dashboard.
 * Without `email` it is the frame of its sign-in page.
 * @example <PortalShell brand={brand} items={[{ href: '/', label: 'Overview', exact: true }]} email={email} onSignOut={signOut}>{children}</PortalShell>
 */
export function PortalShell({
  brand,
  items = [],
  email,
  onSignOut,
  children,
}: {
  brand: PortalBrand
  items?: readonly NavItem[]
  email?: string
  onSignOut?: () => void
  children: ReactNode
}) {
  const pathname = usePathname()
  const links = items.length ? (
    <nav aria-label={t('ui.shell.portalNav')} className="scrollbar-thin overflow-x-auto">
      <ul className="flex gap-1">
        {items.map((item) => {
          const current = isCurrent(item, pathname)
          return (
            <li key={item.href}>
              <Link
                href={item.href}
                aria-current={current ? 'page' : undefined}
                className={cx(
                  'relative flex h-11 items-center gap-2 whitespace-nowrap px-3 text-sm focus-visible:-outline-offset-2 [&_svg]:size-4',
                  current
                    ? "font-medium text-ink after:absolute after:inset-x-3 after:bottom-0 after:h-0.5 after:rounded-full after:bg-accent after:content-['']"
                    : 'text-mute hover:text-ink',
                )}
              >
                {item.icon}
                {item.label}
              </Link>
            </li>
          )
        })}
      </ul>
    </nav>
  ) : null
  return (
    <TimeZoneProvider timeZone={brand.time_zone ?? 'UTC'}>
      <BrandStyle {...brand} />
      <div data-shell="portal" className="flex min-h-dvh flex-col">
        <header className="border-b bg-surface">
          <div aria-hidden="true" className="h-1 bg-(--brand-line,var(--accent))" />
          <div className="mx-auto flex h-14 max-w-5xl items-center gap-3 px-4 sm:px-6">
            <Link href="/" className="flex min-w-0 items-center gap-2.5 rounded-md">
              <Avatar name={brand.name} shape="square" tone="brand" />
              <span className="truncate font-semibold text-lg tracking-tight">{brand.name}</span>
            </Link>
            <div className="ml-auto flex items-center gap-1">
              {email && onSignOut ? <UserMenu email={email} onSignOut={onSignOut} compact /> : <ThemeToggle />}
            </div>
          </div>
          {links ? <div className="mx-auto max-w-5xl px-1 sm:px-3">{links}</div> : null}
        </header>
        <main id="main" tabIndex={-1} className="mx-auto w-full max-w-5xl flex-1 px-4 py-6 sm:px-6 sm:py-9">
          {children}
        </main>
        <footer className="border-t">
          <div className="mx-auto flex max-w-5xl flex-wrap items-center justify-between gap-x-6 gap-y-1 px-4 py-4 text-faint text-xs sm:px-6">
            <span>{brand.name}</span>
            {brand.support_url ? (
              <a href={brand.support_url} className="rounded-sm py-1 underline underline-offset-2 hover:text-ink">
                {t('ui.shell.support')}
              </a>
            ) : null}
          </div>
        </footer>
      </div>
    </TimeZoneProvider>
  )
}
