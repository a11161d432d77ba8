'use client'

import { Monitor, Moon, Sun } from 'lucide-react'
import { useTheme } from 'next-themes'
import { useSyncExternalStore } from 'react'
import { IconButton } from '@/libs/ui/button'
import { Menu, type MenuEntry } from '@/libs/ui/menu'
import { t } from '@/libs/ui/messages'

const never = () => () => {}

function useMounted(): boolean {
  return useSyncExternalStore(
    never,
    () => true,
    () => false,
  )
}

/** The choice of a theme as entries of a menu: light, dark or like the system. */
export function useThemeEntries(): MenuEntry[] {
  const { theme, setTheme } = useTheme()
  const mounted = useMounted()
  const choose = (value: string) => ({ checked: mounted && theme === value, onSelect: () => setTheme(value) })
  return [
    { label: t('ui.theme.light'), icon: <Sun />, ...choose('light') },
    { label: t('ui.theme.dark'), icon: <Moon />, ...choose('dark') },
    { label: t('ui.theme.system'), icon: <Monitor />, ...choose('system') },
  ]
}

/** Light, dark or like the system, behind one button. */
export function ThemeToggle() {
  const entries = useThemeEntries()
  return (
    <Menu
      trigger={
        <IconButton
          label={t('ui.theme.label')}
          icon={
            <>
              <Sun className="dark:hidden" />
              <Moon className="hidden dark:block" />
            </>
          }
        />
      }
      entries={entries}
    />
  )
}
