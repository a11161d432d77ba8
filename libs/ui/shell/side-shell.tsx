'use client'

import { Menu as MenuIcon } from 'lucide-react'
import { usePathname, useRouter } from 'next/navigation'
import { type ReactNode, useEffect, useState } from 'react'
import { IconButton } from '@/libs/ui/button'
import { type Command, CommandPalette } from '@/libs/ui/command-palette'
import { cx } from '@/libs/ui/cx'
import type { MenuEntry } from '@/libs/ui/menu'
import { t } from '@/libs/ui/messages'
import { Sheet } from '@/libs/ui/sheet'
import { type NavItem, type NavSection, SideNav } from '@/libs/ui/shell/nav'
import { UserMenu } from '@/libs/ui/shell/user-menu'
import { useShortcut } from '@/libs/ui/shortcuts'
import { mayLeave } from '@/libs/ui/unsaved'

export type SideShellProps = {
  kind: 'dashboard' | 'operator'
  navLabel: string
  sections: readonly NavSection[]
  /** At the head of the sidebar: tenant switcher, or the name of the console. */
  top: ReactNode
  /** Above the user at the foot of the sidebar, such as the first steps. */
  bottom?: ReactNode
  email: string
  userEntries?: readonly MenuEntry[]
  onSignOut: () => void
  /** Beyond the navigation, which the palette has by itself. */
  commands?: readonly Command[]
  /** In the top bar, at the right of the search. */
  topBar?: ReactNode
  children: ReactNode
}

/** Sidebar (a sheet on the phone), top bar with the command palette, main. Dashboard and operator console stand on it. */
export function SideShell(props: SideShellProps) {
  const {
    kind,
    navLabel,
    sections,
    top,
    bottom,
    email,
    userEntries,
    onSignOut,
    commands = [],
    topBar,
    children,
  } = props
  const [open, setOpen] = useState(false)
  const pathname = usePathname()
  // A strip above everything, which stays; what sticks below it keeps its distance.
  const strip = kind === 'operator'
  // biome-ignore lint/correctness/useExhaustiveDependencies: a navigation closes the sheet
  useEffect(() => setOpen(false), [pathname])

  const items = sections.flatMap((section) => section.items)
  const all: Command[] = [
    ...items.map((item) => ({
      id: `go:${item.href}`,
      label: item.label,
      group: t('ui.palette.go'),
      href: item.href,
      icon: item.icon,
      ...(item.shortcut ? { shortcut: item.shortcut } : {}),
      ...(item.keywords ? { keywords: item.keywords } : {}),
    })),
    ...commands,
  ]
  const side = (
    <>
      <div className="px-2.5 pt-2.5 pb-2">{top}</div>
      <div className="scrollbar-thin min-h-0 flex-1 overflow-y-auto px-2.5">
        <SideNav label={navLabel} sections={sections} onNavigate={() => setOpen(false)} />
      </div>
      {bottom ? <div className="px-2.5 pb-2">{bottom}</div> : null}
      <div className="border-sidebar-line border-t p-2">
        <UserMenu email={email} entries={userEntries} onSignOut={onSignOut} />
      </div>
    </>
  )

  return (
    <div data-shell={kind} className="flex min-h-dvh flex-col">
      {strip ? (
        <aside
          aria-label={t('ui.shell.operator')}
          className="sticky top-0 z-30 h-6 truncate bg-[#2a1030] px-2 text-center font-medium text-[#f3d9f5] text-xs leading-6"
        >
          {t('ui.shell.operatorStrip')}
        </aside>
      ) : null}
      <div className="flex flex-1">
        <aside
          className={cx(
            'sticky hidden w-60 shrink-0 flex-col border-sidebar-line border-r bg-sidebar text-sidebar-ink lg:flex',
            strip ? 'top-6 h-[calc(100dvh-1.5rem)]' : 'top-0 h-dvh',
          )}
        >
          {side}
        </aside>
        <div className="flex min-w-0 flex-1 flex-col">
          <header
            className={cx(
              'sticky z-20 flex h-13 items-center gap-2 border-b bg-canvas/90 px-3 backdrop-blur-sm sm:px-6',
              strip ? 'top-6' : 'top-0',
            )}
          >
            <IconButton
              label={t('ui.shell.openNav')}
              icon={<MenuIcon />}
              onClick={() => setOpen(true)}
              className="lg:hidden"
            />
            <div className="flex min-w-0 flex-1 items-center">
              <CommandPalette commands={all} />
            </div>
            {topBar}
          </header>
          <main id="main" tabIndex={-1} className="mx-auto w-full max-w-6xl flex-1 px-4 py-6 sm:px-6 sm:py-8">
            {children}
          </main>
        </div>
      </div>
      <Sheet open={open} onOpenChange={setOpen} label={navLabel} className="bg-sidebar text-sidebar-ink">
        <div className="flex min-h-0 flex-1 flex-col pt-10">{side}</div>
      </Sheet>
      {items.map((item) => (item.shortcut ? <NavShortcut key={item.href} item={item} /> : null))}
    </div>
  )
}

function NavShortcut({ item }: { item: NavItem }) {
  const router = useRouter()
  useShortcut(item.shortcut ?? '', item.label, () => mayLeave() && router.push(item.href), t('ui.palette.go'))
  return null
}
