'use client'

import { Monitor, Moon, Sun } from 'lucide-react'
import { useTheme } from 'next-themes'
import { useSyncExternalStore } from 'react'
import { IconButton } from '@/libs/ui/button'
import { Menu } from '@/libs/ui/menu'
import { t } from '@/libs/ui/messages'

const never = () => () => {}

function useMounted(): boolean {
  return useSyncExternalStore(
    never,
    () => true,
    () => false,
  )
}

/** Light, dark or like the system, behind one button. */
export function ThemeToggle() {
  const { theme, setTheme } = useTheme()
  const mounted = useMounted()
  const choose = (value: string) => ({ checked: mounted && theme === value, onSelect: () => setTheme(value) })
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
      entries={[
        { label: t('ui.theme.light'), icon: <Sun />, ...choose('light') },
        { label: t('ui.theme.dark'), icon: <Moon />, ...choose('dark') },
        { label: t('ui.theme.system'), icon: <Monitor />, ...choose('system') },
      ]}
    />
  )
}
