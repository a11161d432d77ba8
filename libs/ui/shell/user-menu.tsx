'use client'

import { Keyboard, LogOut } from 'lucide-react'
import { Avatar } from '@/libs/ui/avatar'
import { cx } from '@/libs/ui/cx'
import { Menu, type MenuEntry } from '@/libs/ui/menu'
import { t } from '@/libs/ui/messages'
import { useShortcutsHelp } from '@/libs/ui/shortcuts'
import { useThemeEntries } from '@/libs/ui/theme-toggle'

/** The person who is signed in: own pages, theme, shortcuts, sign out. `compact` shows the picture alone. */
export function UserMenu({
  email,
  entries = [],
  onSignOut,
  compact = false,
}: {
  email: string
  entries?: readonly MenuEntry[]
  onSignOut: () => void
  compact?: boolean
}) {
  const themes = useThemeEntries()
  const openShortcuts = useShortcutsHelp()
  return (
    <Menu
      align={compact ? 'end' : 'start'}
      className="w-60"
      header={
        <div className="mb-1 border-b px-2 pt-1 pb-2">
          <p className="truncate font-medium text-sm">{email}</p>
        </div>
      }
      trigger={
        <button
          type="button"
          className={cx(
            'flex items-center gap-2.5 rounded-md text-left text-sidebar-ink',
            compact ? 'p-0.5' : 'w-full px-2 py-1.5 hover:bg-sidebar-hover data-popup-open:bg-sidebar-hover',
          )}
        >
          <Avatar name={email} size={compact ? 'md' : 'sm'} />
          <span className="sr-only">{compact ? t('ui.shell.account', { name: email }) : t('ui.shell.accountOf')}</span>
          {compact ? null : <span className="min-w-0 flex-1 truncate font-medium text-sm">{email}</span>}
        </button>
      }
      entries={[
        ...entries,
        ...(entries.length ? (['separator'] as const) : []),
        { heading: t('ui.theme.label') },
        ...themes,
        'separator',
        { label: t('ui.shortcuts.title'), icon: <Keyboard />, hint: '?', onSelect: openShortcuts },
        { label: t('ui.shell.signOut'), icon: <LogOut />, onSelect: onSignOut },
      ]}
    />
  )
}
