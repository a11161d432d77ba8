'use client'

import Link from 'next/link'
import { usePathname } from 'next/navigation'
import { type ReactNode, useEffect, useId, useRef } from 'react'
import { cx } from '@/libs/ui/cx'

export type NavItem = {
  href: string
  label: string
  icon?: ReactNode
  /** A count or a word at the right. */
  badge?: ReactNode
  /** Only this very path counts as here; for the first page of a section. */
  exact?: boolean
  /** Two keys one after the other, such as `g c`. */
  shortcut?: string
  /** Other words the command palette finds it by. */
  keywords?: string
}

export type NavSection = { label?: string; items: readonly NavItem[] }

/** Whether a navigation entry is where one is. */
export function isCurrent(item: Pick<NavItem, 'href' | 'exact'>, pathname: string): boolean {
  return item.exact ? pathname === item.href : pathname === item.href || pathname.startsWith(`${item.href}/`)
}

/** The list of links in a sidebar, by groups; the one where one is stays in sight. */
export function SideNav({
  label,
  sections,
  onNavigate,
}: {
  label: string
  sections: readonly NavSection[]
  onNavigate?: () => void
}) {
  const pathname = usePathname()
  const id = useId()
  const nav = useRef<HTMLElement>(null)
  // biome-ignore lint/correctness/useExhaustiveDependencies: a navigation moves the current entry
  useEffect(() => {
    nav.current?.querySelector('[aria-current="page"]')?.scrollIntoView({ block: 'nearest' })
  }, [pathname])
  return (
    <nav ref={nav} aria-label={label} className="flex flex-col gap-3">
      {sections.map((section, index) => (
        <div
          key={section.label ?? section.items[0]?.href}
          className={
            // Where all of it has no room, the last without a name, the settings, stays in sight below the rest.
            index > 0 && index === sections.length - 1 && !section.label
              ? 'sticky bottom-0 -mx-2.5 border-sidebar-line border-t bg-sidebar px-2.5 py-2'
              : undefined
          }
        >
          {section.label ? (
            <p id={`${id}-${index}`} className="px-2.5 pb-1 font-medium text-sidebar-faint text-xs">
              {section.label}
            </p>
          ) : null}
          <ul aria-labelledby={section.label ? `${id}-${index}` : undefined} className="flex flex-col gap-px">
            {section.items.map((item) => {
              const current = isCurrent(item, pathname)
              return (
                <li key={item.href}>
                  <Link
                    href={item.href}
                    aria-current={current ? 'page' : undefined}
                    onClick={onNavigate}
                    className={cx(
                      'flex min-h-7.5 scroll-mt-4 scroll-mb-16 items-center gap-2.5 rounded-md px-2.5 py-0.5 text-sm pointer-coarse:min-h-10',
                      '[&_svg]:size-4 [&_svg]:shrink-0',
                      current
                        ? 'bg-sidebar-active font-medium text-sidebar-active-ink shadow-card [&_svg]:text-current'
                        : 'text-sidebar-mute hover:bg-sidebar-hover hover:text-sidebar-ink [&_svg]:text-sidebar-faint',
                    )}
                  >
                    {item.icon}
                    <span className="min-w-0 flex-1 truncate">{item.label}</span>
                    {item.badge ? <span className="text-sidebar-faint text-xs">{item.badge}</span> : null}
                  </Link>
                </li>
              )
            })}
          </ul>
        </div>
      ))}
    </nav>
  )
}
