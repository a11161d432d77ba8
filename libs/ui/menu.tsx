'use client'

import { Menu as Base } from '@base-ui/react/menu'
import { Check, Ellipsis } from 'lucide-react'
import Link from 'next/link'
import type { ReactElement, ReactNode } from 'react'
import { IconButton } from '@/libs/ui/button'
import { cx } from '@/libs/ui/cx'
import { popupClass, popupItemClass, popupLabelClass } from '@/libs/ui/popup'

export type MenuEntry =
  | {
      label: string
      icon?: ReactNode
      /** A quiet text at the right, such as a shortcut. */
      hint?: string
      onSelect: () => void
      tone?: 'danger'
      disabled?: boolean
    }
  | { label: string; icon?: ReactNode; href: string }
  | { label: string; icon?: ReactNode; checked: boolean; onSelect: () => void }
  | { heading: string }
  | 'separator'

/**
 * A menu of acts and links at a button.
 * @example <Menu trigger={<Button>Export</Button>} entries={[{ label: 'CSV', onSelect: csv }, { label: 'JSONL', onSelect: jsonl }]} />
 */
export function Menu({
  trigger,
  entries,
  header,
  align = 'end',
  className,
}: {
  trigger: ReactElement
  entries: ReadonlyArray<MenuEntry>
  header?: ReactNode
  align?: 'start' | 'center' | 'end'
  className?: string
}) {
  return (
    <Base.Root modal={false}>
      <Base.Trigger render={trigger} />
      <Base.Portal>
        <Base.Positioner sideOffset={4} align={align} collisionPadding={8} className="z-50 outline-none">
          <Base.Popup className={cx(popupClass, 'min-w-44 max-w-[92vw] p-1', className)}>
            {header}
            {entries.map((entry, index) => renderEntry(entry, index))}
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  )
}

function renderEntry(entry: MenuEntry, index: number) {
  // Entries are a fixed list: the place is the identity.
  if (entry === 'separator') return <Base.Separator key={`separator-${index}`} className="mx-1 my-1 h-px bg-line" />
  if ('heading' in entry) {
    return (
      <div key={entry.heading} role="presentation" className={popupLabelClass}>
        {entry.heading}
      </div>
    )
  }
  if ('checked' in entry) {
    return (
      <Base.CheckboxItem
        key={entry.label}
        checked={entry.checked}
        onCheckedChange={() => entry.onSelect()}
        className={popupItemClass}
      >
        {entry.icon}
        <span className="flex-1">{entry.label}</span>
        <Base.CheckboxItemIndicator className="text-accent-text">
          <Check />
        </Base.CheckboxItemIndicator>
      </Base.CheckboxItem>
    )
  }
  if ('href' in entry) {
    return (
      <Base.LinkItem key={entry.label} closeOnClick className={popupItemClass} render={<Link href={entry.href} />}>
        {entry.icon}
        <span className="flex-1">{entry.label}</span>
      </Base.LinkItem>
    )
  }
  return (
    <Base.Item
      key={entry.label}
      onClick={entry.onSelect}
      disabled={entry.disabled}
      className={cx(popupItemClass, entry.tone === 'danger' && 'text-danger-text data-highlighted:bg-danger-soft')}
    >
      {entry.icon}
      <span className="flex-1">{entry.label}</span>
      {entry.hint ? <span className="ml-4 text-faint text-xs">{entry.hint}</span> : null}
    </Base.Item>
  )
}

/** The three dots at the end of a row. `label` names whose acts they are: "Actions for Ada Lovelace". */
export function ActionMenu({ label, entries }: { label: string; entries: ReadonlyArray<MenuEntry> }) {
  return <Menu trigger={<IconButton label={label} icon={<Ellipsis />} size="sm" />} entries={entries} />
}
