'use client'

import { Autocomplete } from '@base-ui/react/autocomplete'
import { Dialog as Base } from '@base-ui/react/dialog'
import { Search } from 'lucide-react'
import { useRouter } from 'next/navigation'
import { type ReactNode, useMemo, useState } from 'react'
import { cx } from '@/libs/ui/cx'
import { backdropClass } from '@/libs/ui/dialog'
import { t } from '@/libs/ui/messages'
import { popupItemClass, popupLabelClass } from '@/libs/ui/popup'
import { Keys, useShortcut } from '@/libs/ui/shortcuts'

export type Command = {
  /** Unique; also searched. */
  id: string
  label: string
  group: string
  icon?: ReactNode
  /** Other words to find it by. */
  keywords?: string
  /** Shown at the right. */
  shortcut?: string
  /** Where it leads, or what it does. */
  href?: string
  run?: () => void
}

type Group = { value: string; items: Command[] }

/**
 * Go, create, switch, copy: everything by typing. Opens with Ctrl/⌘ K and by the button it draws.
 * @example <CommandPalette commands={[{ id: 'go-tiers', label: 'Tiers', group: 'Go to', href: '/acme/tiers' }]} />
 */
export function CommandPalette({ commands, compact = false }: { commands: readonly Command[]; compact?: boolean }) {
  const [open, setOpen] = useState(false)
  const router = useRouter()
  useShortcut('mod+k', t('ui.palette.open'), () => setOpen((old) => !old))

  const groups = useMemo<Group[]>(
    () => [...Map.groupBy(commands, (command) => command.group)].map(([value, items]) => ({ value, items })),
    [commands],
  )

  function choose(command: Command) {
    setOpen(false)
    if (command.href) router.push(command.href)
    // After the dialog has given the focus back.
    else if (command.run) window.setTimeout(command.run, 30)
  }

  return (
    <Base.Root open={open} onOpenChange={setOpen}>
      <Base.Trigger
        aria-keyshortcuts="Control+K Meta+K"
        aria-label={compact ? t('ui.palette.open') : undefined}
        className={cx(
          'flex h-8.5 items-center gap-2 rounded-md border bg-surface text-faint text-sm shadow-card hover:border-line-strong hover:text-mute pointer-coarse:h-10',
          compact ? 'w-8.5 justify-center pointer-coarse:w-10' : 'w-full max-w-72 px-2.5',
        )}
      >
        <Search aria-hidden="true" className="size-4 shrink-0" />
        {compact ? null : (
          <>
            <span className="flex-1 truncate text-left">{t('ui.palette.placeholder')}</span>
            <span aria-hidden="true" className="hidden sm:block pointer-coarse:hidden">
              <Keys keys="mod+k" />
            </span>
          </>
        )}
      </Base.Trigger>
      <Base.Portal>
        <Base.Backdrop className={backdropClass} />
        <Base.Popup
          aria-label={t('ui.palette.label')}
          className="fixed inset-x-2 top-2 z-50 mx-auto flex max-h-[min(32rem,90dvh)] max-w-xl flex-col overflow-hidden rounded-xl border bg-raised text-ink shadow-dialog outline-none transition-[opacity,scale] duration-100 data-ending-style:scale-[0.98] data-ending-style:opacity-0 data-starting-style:scale-[0.98] data-starting-style:opacity-0 sm:top-[14dvh]"
        >
          <Autocomplete.Root
            open
            inline
            items={groups}
            autoHighlight="always"
            keepHighlight
            itemToStringValue={(item: Command) => [item.label, item.group, item.keywords].filter(Boolean).join(' ')}
          >
            <div className="flex items-center gap-2.5 border-b px-4">
              <Search aria-hidden="true" className="size-4 shrink-0 text-faint" />
              <Autocomplete.Input
                aria-label={t('ui.palette.label')}
                placeholder={t('ui.palette.placeholder')}
                className="control-text h-12 w-full bg-transparent outline-none"
              />
              <Base.Close
                aria-label={t('ui.palette.close')}
                className="rounded-sm border bg-sunken px-1.5 py-0.5 text-2xs text-faint hover:text-ink"
              >
                Esc
              </Base.Close>
            </div>
            <div className="scrollbar-thin min-h-0 flex-1 overflow-y-auto p-1.5">
              <Autocomplete.Empty>
                <div className="px-3 py-8 text-center text-mute text-sm empty:hidden">{t('ui.palette.none')}</div>
              </Autocomplete.Empty>
              <Autocomplete.List>
                {(group: Group) => (
                  <Autocomplete.Group key={group.value} items={group.items} className="pb-1">
                    <Autocomplete.GroupLabel className={popupLabelClass}>{group.value}</Autocomplete.GroupLabel>
                    <Autocomplete.Collection>
                      {(item: Command) => (
                        <Autocomplete.Item
                          key={item.id}
                          value={item}
                          onClick={() => choose(item)}
                          className={cx(popupItemClass, 'px-2.5 [&_svg]:text-faint')}
                        >
                          {item.icon}
                          <span className="min-w-0 flex-1 truncate">{item.label}</span>
                          {item.shortcut ? <Keys keys={item.shortcut} /> : null}
                        </Autocomplete.Item>
                      )}
                    </Autocomplete.Collection>
                  </Autocomplete.Group>
                )}
              </Autocomplete.List>
            </div>
          </Autocomplete.Root>
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  )
}
