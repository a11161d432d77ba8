'use client'

import { Tabs as Base } from '@base-ui/react/tabs'
import Link from 'next/link'
import { usePathname } from 'next/navigation'
import type { ReactNode } from 'react'
import { cx } from '@/libs/ui/cx'
import { isCurrent } from '@/libs/ui/shell/nav'

export type Tab<Value extends string = string> = { value: Value; label: ReactNode; count?: number; content: ReactNode }

const tabClass =
  'relative -mb-px inline-flex h-9 items-center gap-1.5 whitespace-nowrap border-b-2 px-1 text-sm ' +
  'hover:text-ink focus-visible:-outline-offset-2'

/**
 * Views of the same thing. Where each view deserves an address of its own, use TabNav.
 * @example <Tabs label="Customer" tabs={[{ value: 'usage', label: 'Usage', content: <Usage /> }]} />
 */
export function Tabs<Value extends string>({
  label,
  tabs,
  value,
  onValueChange,
}: {
  label: string
  tabs: ReadonlyArray<Tab<Value>>
  /** Leave out for uncontrolled. */
  value?: Value
  onValueChange?: (value: Value) => void
}) {
  return (
    <Base.Root
      value={value}
      defaultValue={value === undefined ? tabs[0]?.value : undefined}
      onValueChange={onValueChange ? (next) => onValueChange(next as Value) : undefined}
    >
      <Base.List aria-label={label} className="scrollbar-thin flex gap-5 overflow-x-auto border-b">
        {tabs.map((tab) => (
          <Base.Tab
            key={tab.value}
            value={tab.value}
            className={cx(
              tabClass,
              'border-transparent text-mute data-active:border-accent data-active:font-medium data-active:text-ink',
            )}
          >
            {tab.label}
            {tab.count === undefined ? null : <span className="tabular text-faint text-xs">{tab.count}</span>}
          </Base.Tab>
        ))}
      </Base.List>
      {tabs.map((tab) => (
        <Base.Panel key={tab.value} value={tab.value} className="rounded-sm pt-5">
          {tab.content}
        </Base.Panel>
      ))}
    </Base.Root>
  )
}

/**
 * Sub-pages as tabs: links, the present one marked.
 * @example <TabNav label="Settings" items={[{ href: '/acme/settings', label: 'General', exact: true }]} />
 */
export function TabNav({
  label,
  items,
}: {
  label: string
  items: ReadonlyArray<{ href: string; label: string; exact?: boolean }>
}) {
  const pathname = usePathname()
  return (
    <nav aria-label={label} className="scrollbar-thin overflow-x-auto border-b print:hidden">
      <ul className="flex gap-5">
        {items.map((item) => {
          const active = isCurrent(item, pathname)
          return (
            <li key={item.href}>
              <Link
                href={item.href}
                aria-current={active ? 'page' : undefined}
                className={cx(tabClass, active ? 'border-accent font-medium text-ink' : 'border-transparent text-mute')}
              >
                {item.label}
              </Link>
            </li>
          )
        })}
      </ul>
    </nav>
  )
}
