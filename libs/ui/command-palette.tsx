'use client'

import { Dialog as Base } from '@base-ui/react/dialog'
import { Search } from 'lucide-react'
import { useRouter } from 'next/navigation'
import { type ReactNode, useEffect, useState } from 'react'
import type { CommandList } from '@/libs/ui/command-list'
import { Backdrop } from '@/libs/ui/dialog'
import { t } from '@/libs/ui/messages'
import { Keys, useShortcut } from '@/libs/ui/shortcuts'
import { mayLeave } from '@/libs/ui/unsaved'

export type Command = {
  /** Unique; also searched. */
  id: string
  label: string
  /** In small print at the right, such as an id. */
  detail?: string
  group: string
  icon?: ReactNode
  /** Other words to find it by. */
  keywords?: string
  /** Shown at the right. */
  shortcut?: string
  /** Where it leads, or what it does. */
  href?: string
  run?: () => void
  /** The server found it: it fits, whatever stands in its label. */
  found?: boolean
}

/** What a command is found by. */
export function commandText(command: Command): string {
  return [command.label, command.group, command.keywords].filter(Boolean).join(' ')
}

/**
 * Go, create, switch, copy, and whatever CommandFinders around it find by name: everything by typing. Opens with Ctrl/⌘ K and by the button it draws. The list comes in a file
 * of its own, after the page; whoever is faster types into a plain field meanwhile and loses nothing.
 * @example <CommandPalette commands={[{ id: 'go-tiers', label: 'Tiers', group: 'Go to', href: '/acme/tiers' }]} />
 */
export function CommandPalette({ commands }: { commands: readonly Command[] }) {
  const [open, setOpen] = useState(false)
  const [List, setList] = useState<typeof CommandList | null>(null)
  const [early, setEarly] = useState('')
  const router = useRouter()
  useShortcut('mod+k', t('ui.palette.open'), () => change(!open))

  useEffect(() => {
    let gone = false
    import('@/libs/ui/command-list').then(
      (module) => !gone && setList(() => module.CommandList),
      () => {
        // The plain field goes where the first match leads; the next page asks for the list again.
      },
    )
    return () => {
      gone = true
    }
  }, [])

  function change(next: boolean) {
    if (next) setEarly('')
    setOpen(next)
  }

  function choose(command: Command) {
    setOpen(false)
    const { href, run } = command
    // After the dialog has given the focus back.
    if (href) window.setTimeout(() => mayLeave() && router.push(href), 30)
    else if (run) window.setTimeout(run, 30)
  }

  function chooseFirst(text: string) {
    const first = commands.find((command) => commandText(command).toLowerCase().includes(text.trim().toLowerCase()))
    if (first) choose(first)
  }

  return (
    <Base.Root open={open} onOpenChange={change}>
      <Base.Trigger
        aria-keyshortcuts="Control+K Meta+K"
        className="flex h-8.5 w-full max-w-72 items-center gap-2 rounded-md border bg-surface px-2.5 text-faint text-sm shadow-card hover:border-line-strong hover:text-mute pointer-coarse:h-10"
      >
        <Search aria-hidden="true" className="size-4 shrink-0" />
        <span className="flex-1 truncate text-left">{t('ui.palette.placeholder')}</span>
        <span aria-hidden="true" className="hidden sm:block pointer-coarse:hidden">
          <Keys keys="mod+k" />
        </span>
      </Base.Trigger>
      <Base.Portal>
        <Backdrop />
        <Base.Popup
          aria-label={t('ui.palette.label')}
          className="fixed inset-x-2 top-2 z-50 mx-auto flex max-h-[min(32rem,90dvh)] max-w-xl flex-col overflow-hidden rounded-xl border bg-raised text-ink shadow-dialog outline-none transition-[opacity,scale] duration-100 data-ending-style:scale-[0.98] data-ending-style:opacity-0 data-starting-style:scale-[0.98] data-starting-style:opacity-0 sm:top-[14dvh]"
        >
          {List ? (
            <List commands={commands} initial={early} onChoose={choose} />
          ) : (
            <div className="flex items-center gap-2.5 border-b px-4">
              <Search aria-hidden="true" className="size-4 shrink-0 text-faint" />
              <input
                aria-label={t('ui.palette.label')}
                placeholder={t('ui.palette.placeholder')}
                value={early}
                onChange={(event) => setEarly(event.target.value)}
                onKeyDown={(event) => event.key === 'Enter' && chooseFirst(early)}
                className="control-text h-12 w-full bg-transparent outline-none"
              />
            </div>
          )}
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  )
}
