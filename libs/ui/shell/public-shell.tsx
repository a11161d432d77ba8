import Link from 'next/link'
import type { ReactNode } from 'react'
import { LinkButton } from '@/libs/ui/button'
import { Logo, LogoMark } from '@/libs/ui/logo'
import { t } from '@/libs/ui/messages'
import { ThemeToggle } from '@/libs/ui/theme-toggle'

/**
 * The public pages of the platform (landing, documentation).
 * @example <PublicShell links={[{ href: '/docs/api', label: 'API' }]} signedIn={false}>{children}</PublicShell>
 */
export function PublicShell({
  links = [],
  signedIn = false,
  children,
}: {
  links?: ReadonlyArray<{ href: string; label: string }>
  signedIn?: boolean
  children: ReactNode
}) {
  return (
    <div data-shell="public" className="flex min-h-dvh flex-col">
      <header className="sticky top-0 z-20 border-b bg-canvas/90 backdrop-blur-sm">
        <div className="mx-auto flex h-14 max-w-6xl items-center gap-2 px-4 sm:px-6">
          <Link href="/" aria-label={t('ui.shell.home')} className="rounded-md">
            <Logo />
          </Link>
          {links.length ? (
            <nav aria-label={t('ui.shell.publicNav')} className="ml-6 hidden sm:block">
              <ul className="flex gap-1">
                {links.map((link) => (
                  <li key={link.href}>
                    <Link
                      href={link.href}
                      className="rounded-md px-2.5 py-1.5 text-mute text-sm hover:bg-hover hover:text-ink"
                    >
                      {link.label}
                    </Link>
                  </li>
                ))}
              </ul>
            </nav>
          ) : null}
          <div className="ml-auto flex items-center gap-1.5">
            <ThemeToggle />
            {signedIn ? (
              <LinkButton href="/tenants" variant="primary">
                {t('ui.shell.dashboard')}
              </LinkButton>
            ) : (
              <>
                <LinkButton href="/sign-in" variant="ghost" className="max-[379px]:hidden">
                  {t('ui.shell.signIn')}
                </LinkButton>
                <LinkButton href="/sign-up" variant="primary">
                  {t('ui.shell.signUp')}
                </LinkButton>
              </>
            )}
          </div>
        </div>
      </header>
      <main id="main" tabIndex={-1} className="flex-1">
        {children}
      </main>
      <footer className="border-t">
        <div className="mx-auto flex max-w-6xl flex-wrap items-center justify-between gap-x-6 gap-y-2 px-4 py-6 text-faint text-sm sm:px-6">
          <span>{t('ui.shell.footer')}</span>
          {links.length ? (
            <ul className="flex flex-wrap gap-x-5 gap-y-1">
              {links.map((link) => (
                <li key={link.href}>
                  <Link href={link.href} className="rounded-sm py-1 hover:text-ink hover:underline">
                    {link.label}
                  </Link>
                </li>
              ))}
            </ul>
          ) : null}
        </div>
      </footer>
    </div>
  )
}

/**
 * One centred card: sign-in, sign-up, new tenant, invitation. The heading is the h1 of the page.
 * @example <AuthShell title="Sign in" description="To your Holdfast account" footer={<>New here? <TextLink href="/sign-up">Create an account</TextLink></>}>…</AuthShell>
 */
export function AuthShell({
  title,
  description,
  footer,
  wide = false,
  children,
}: {
  title: ReactNode
  description?: ReactNode
  footer?: ReactNode
  wide?: boolean
  children: ReactNode
}) {
  return (
    <div data-shell="public" className="flex min-h-dvh flex-col">
      <header className="flex h-14 items-center justify-between px-4 sm:px-6">
        <Link href="/" aria-label={t('ui.shell.home')} className="rounded-md">
          <Logo />
        </Link>
        <ThemeToggle />
      </header>
      <main id="main" tabIndex={-1} className="flex flex-1 flex-col items-center px-4 pt-[max(1.5rem,6dvh)] pb-16">
        <AuthCard
          title={title}
          description={description}
          footer={footer}
          wide={wide}
          mark={<LogoMark className="size-9" />}
        >
          {children}
        </AuthCard>
      </main>
    </div>
  )
}

/** The card alone, for the sign-in page inside a PortalShell. */
export function AuthCard({
  title,
  description,
  footer,
  wide = false,
  mark,
  children,
}: {
  title: ReactNode
  description?: ReactNode
  footer?: ReactNode
  wide?: boolean
  mark?: ReactNode
  children: ReactNode
}) {
  return (
    <div className={wide ? 'mx-auto w-full max-w-xl' : 'mx-auto w-full max-w-sm'}>
      <div className="rounded-xl border bg-surface px-5 py-6 shadow-card sm:px-7 sm:py-8">
        {mark ? <div className="mb-4">{mark}</div> : null}
        <h1 tabIndex={-1} className="font-semibold text-xl tracking-tight">
          {title}
        </h1>
        {description ? <p className="mt-1 text-mute text-sm">{description}</p> : null}
        <div className="mt-5">{children}</div>
      </div>
      {footer ? <p className="mt-4 text-center text-mute text-sm">{footer}</p> : null}
    </div>
  )
}
