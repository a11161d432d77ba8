'use client'

import { Autocomplete } from '@base-ui/react/autocomplete'
import { Dialog } from '@base-ui/react/dialog'
import { Search } from 'lucide-react'
import { useMemo, useState } from 'react'
import { useFoundCommands } from '@/libs/ui/command-finders'
import { type Command, commandText } from '@/libs/ui/command-palette'
import { cx } from '@/libs/ui/cx'
import { t } from '@/libs/ui/messages'
import { popupItemClass, popupLabelClass } from '@/libs/ui/popup'
import { Keys } from '@/libs/ui/shortcuts'
import { Spinner } from '@/libs/ui/spinner'

type Group = { value: string; items: Command[] }

/** The inside of the command palette: a field and what it finds. Loaded when the palette is wanted for the first time. */
export function CommandList({
  commands,
  initial,
  onChoose,
}: {
  commands: readonly Command[]
  /** What was typed before the list was there. */
  initial: string
  onChoose: (command: Command) => void
}) {
  const [text, setText] = useState(initial)
  const { found, searching, failed } = useFoundCommands(text)
  const { contains } = Autocomplete.useFilter()
  // What is found comes last: it arrives later, and must not move what is about to be chosen.
  const groups = useMemo<Group[]>(() => {
    const all = Map.groupBy([...commands, ...found], (command) => command.group)
    return [...all].map(([value, items]) => ({ value, items }))
  }, [commands, found])
  return (
    <Autocomplete.Root
      open
      inline
      items={groups}
      autoHighlight="always"
      keepHighlight
      value={text}
      onValueChange={setText}
      filter={(command: Command, query: string) => command.found || contains(command, query, commandText)}
      itemToStringValue={commandText}
    >
      <div className="flex items-center gap-2.5 border-b px-4">
        <span className="shrink-0 text-faint">
          {searching ? <Spinner /> : <Search aria-hidden="true" className="size-4" />}
        </span>
        <Autocomplete.Input
          autoFocus
          aria-label={t('ui.palette.label')}
          placeholder={t('ui.palette.placeholder')}
          className="control-text h-12 w-full bg-transparent outline-none"
        />
        <Dialog.Close
          aria-label={t('ui.palette.close')}
          className="rounded-sm border bg-sunken px-1.5 py-0.5 text-2xs text-faint hover:text-ink"
        >
          Esc
        </Dialog.Close>
      </div>
      <div className="scrollbar-thin min-h-0 flex-1 overflow-y-auto p-1.5">
        <Autocomplete.Empty>
          <div className="px-3 py-8 text-center text-mute text-sm empty:hidden">
            {t(searching ? 'ui.palette.searching' : failed ? 'ui.palette.failed' : 'ui.palette.none')}
          </div>
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
                    onClick={() => onChoose(item)}
                    className={cx(popupItemClass, 'px-2.5 [&_svg]:text-faint')}
                  >
                    {item.icon}
                    <span className="min-w-0 flex-1 truncate">{item.label}</span>
                    {item.detail ? <span className="max-w-1/2 truncate text-faint text-xs">{item.detail}</span> : null}
                    {item.shortcut ? <Keys keys={item.shortcut} /> : null}
                  </Autocomplete.Item>
                )}
              </Autocomplete.Collection>
            </Autocomplete.Group>
          )}
        </Autocomplete.List>
      </div>
    </Autocomplete.Root>
  )
}
