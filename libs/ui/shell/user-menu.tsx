'use client'

import { Keyboard, LogOut, Monitor, Moon, Sun } from 'lucide-react'
import { useTheme } from 'next-themes'
import { Avatar } from '@/libs/ui/avatar'
import { cx } from '@/libs/ui/cx'
import { Menu, type MenuEntry } from '@/libs/ui/menu'
import { t } from '@/libs/ui/messages'
import { useShortcutsHelp } from '@/libs/ui/shortcuts'

export type ShellUser = { name: string; email: string; avatar_url?: string | null }

/** The person who is signed in: own pages, theme, shortcuts, sign out. `compact` shows the picture alone. */
export function UserMenu({
  user,
  entries = [],
  onSignOut,
  compact = false,
}: {
  user: ShellUser
  entries?: readonly MenuEntry[]
  onSignOut: () => void
  compact?: boolean
}) {
  const { theme, setTheme } = useTheme()
  const openShortcuts = useShortcutsHelp()
  const name = user.name || user.email
  return (
    <Menu
      align={compact ? 'end' : 'start'}
      className="w-60"
      header={
        <div className="mb-1 border-b px-2 pt-1 pb-2">
          <p className="truncate font-medium text-sm">{name}</p>
          {user.name ? <p className="truncate text-faint text-xs">{user.email}</p> : null}
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
          <Avatar name={name} src={user.avatar_url} size={compact ? 'md' : 'sm'} />
          <span className="sr-only">{compact ? t('ui.shell.account', { name }) : t('ui.shell.accountOf')}</span>
          {compact ? null : (
            <span className="min-w-0 flex-1">
              <span className="block truncate font-medium text-sm">{name}</span>
              {user.name ? <span className="block truncate text-sidebar-faint text-xs">{user.email}</span> : null}
            </span>
          )}
        </button>
      }
      entries={[
        ...entries,
        ...(entries.length ? (['separator'] as const) : []),
        { heading: t('ui.theme.label') },
        { label: t('ui.theme.light'), icon: <Sun />, checked: theme === 'light', onSelect: () => setTheme('light') },
        { label: t('ui.theme.dark'), icon: <Moon />, checked: theme === 'dark', onSelect: () => setTheme('dark') },
        {
          label: t('ui.theme.system'),
          icon: <Monitor />,
          checked: theme === 'system',
          onSelect: () => setTheme('system'),
        },
        'separator',
        { label: t('ui.shortcuts.title'), icon: <Keyboard />, hint: '?', onSelect: openShortcuts },
        { label: t('ui.shell.signOut'), icon: <LogOut />, onSelect: onSignOut },
      ]}
    />
  )
}
