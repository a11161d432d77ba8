'use client'

import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useRef, useState } from 'react'
import { Dialog } from '@/libs/ui/dialog'
import { t } from '@/libs/ui/messages'
import { Switch } from '@/libs/ui/switch'

export type Shortcut = {
  /** `g c` (one after the other), `n`, `mod+k` (Ctrl or ⌘). */
  keys: string
  label: string
  group?: string
  run: () => void
}

type Registry = { add: (shortcut: Shortcut) => () => void; openHelp: () => void }

const Context = createContext<Registry | null>(null)
const STORAGE_KEY = 'holdfast.single-keys'

function readEnabled(): boolean {
  try {
    return window.localStorage.getItem(STORAGE_KEY) !== 'off'
  } catch {
    return true
  }
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false
  return target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName)
}

/**
 * Listens for shortcuts and shows them on `?`. Single keys can be turned off there (WCAG 2.1.4) and do nothing while
 * one types or a dialog is open.
 */
export function ShortcutsProvider({ children }: { children: ReactNode }) {
  const shortcuts = useRef(new Set<Shortcut>())
  const [help, setHelp] = useState(false)
  const [listed, setListed] = useState<Shortcut[]>([])
  const [enabled, setEnabled] = useState(true)
  const active = useRef(true)

  useEffect(() => {
    const stored = readEnabled()
    active.current = stored
    setEnabled(stored)
  }, [])

  const openHelp = useCallback(() => {
    setListed([...shortcuts.current])
    setHelp(true)
  }, [])

  useEffect(() => {
    let prefix = ''
    let timer: number | undefined
    function onKey(event: KeyboardEvent) {
      if (event.defaultPrevented || event.isComposing || event.altKey) return
      const mod = event.metaKey || event.ctrlKey
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
      if (!mod) {
        if (!active.current || isTyping(event.target)) return
        if (
          document.querySelector(
            '[role="dialog"]:not([data-toast]),[role="alertdialog"],[role="menu"],[role="listbox"]',
          )
        )
          return
        if (event.key === '?') {
          event.preventDefault()
          openHelp()
          return
        }
      }
      const typed = mod ? `mod+${key}` : prefix ? `${prefix} ${key}` : key
      for (const shortcut of shortcuts.current) {
        if (shortcut.keys !== typed) continue
        event.preventDefault()
        prefix = ''
        shortcut.run()
        return
      }
      window.clearTimeout(timer)
      prefix = !mod && [...shortcuts.current].some((shortcut) => shortcut.keys.startsWith(`${key} `)) ? key : ''
      if (prefix) {
        timer = window.setTimeout(() => {
          prefix = ''
        }, 1_200)
      }
    }
    document.addEventListener('keydown', onKey)
    return () => {
      document.removeEventListener('keydown', onKey)
      window.clearTimeout(timer)
    }
  }, [openHelp])

  const registry = useMemo<Registry>(
    () => ({
      add: (shortcut) => {
        shortcuts.current.add(shortcut)
        return () => shortcuts.current.delete(shortcut)
      },
      openHelp,
    }),
    [openHelp],
  )

  function change(on: boolean) {
    active.current = on
    setEnabled(on)
    try {
      window.localStorage.setItem(STORAGE_KEY, on ? 'on' : 'off')
    } catch {
      // Without storage the choice lasts as long as the page.
    }
  }

  const groups = Map.groupBy(listed, (shortcut) => shortcut.group ?? t('ui.shortcuts.general'))
  return (
    <Context value={registry}>
      {children}
      <Dialog open={help} onOpenChange={setHelp} title={t('ui.shortcuts.title')}>
        <div className="flex flex-col gap-5">
          <Switch
            checked={enabled}
            onCheckedChange={change}
            label={t('ui.shortcuts.single')}
            description={t('ui.shortcuts.singleHint')}
          />
          {[...groups].map(([group, items]) => (
            <section key={group}>
              <h3 className="mb-1 font-medium text-faint text-xs">{group}</h3>
              <dl className="divide-y divide-line">
                {items.map((item) => (
                  <div key={item.keys} className="flex items-center justify-between gap-4 py-1.5 text-sm">
                    <dt>{item.label}</dt>
                    <dd>
                      <Keys keys={item.keys} />
                    </dd>
                  </div>
                ))}
                {group === t('ui.shortcuts.general') ? (
                  <div className="flex items-center justify-between gap-4 py-1.5 text-sm">
                    <dt>{t('ui.shortcuts.help')}</dt>
                    <dd>
                      <Keys keys="?" />
                    </dd>
                  </div>
                ) : null}
              </dl>
            </section>
          ))}
        </div>
      </Dialog>
    </Context>
  )
}

/** Keys as drawn on a keyboard. */
export function Keys({ keys }: { keys: string }) {
  const names = keys
    .split(/[ +]/)
    .map((key) => (key === 'mod' ? t('ui.shortcuts.mod') : key.length === 1 ? key.toUpperCase() : key))
  return (
    <span className="inline-flex gap-1">
      {names.map((name) => (
        <kbd
          key={name}
          className="inline-flex h-5 min-w-5 items-center justify-center rounded-sm border bg-sunken px-1 font-sans text-2xs text-mute"
        >
          {name}
        </kbd>
      ))}
    </span>
  )
}

/**
 * Registers a shortcut while the component is there.
 * @example useShortcut('n', 'New customer', () => setOpen(true))
 */
export function useShortcut(keys: string, label: string, run: () => void, group?: string): void {
  const registry = useContext(Context)
  const latest = useRef(run)
  latest.current = run
  useEffect(
    () => registry?.add({ keys, label, run: () => latest.current(), ...(group ? { group } : {}) }),
    [registry, keys, label, group],
  )
}

/** Opens the list of shortcuts, for a menu entry. */
export function useShortcutsHelp(): () => void {
  const registry = useContext(Context)
  return registry?.openHelp ?? (() => {})
}
