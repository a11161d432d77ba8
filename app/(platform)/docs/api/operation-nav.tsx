'use client'

import { useId, useState } from 'react'
import { Input } from '@/libs/ui/input'
import { t } from '@/libs/ui/messages'
import type { Method, OperationGroup } from './openapi-document'

export type NavGroup = Pick<OperationGroup, 'tag' | 'id'> & {
  operations: { id: string; method: Method; path: string; summary: string }[]
}

/** The list of operations with a field that narrows it; without scripts it is the whole list. */
export function OperationNav({ groups }: { groups: NavGroup[] }) {
  const [text, setText] = useState('')
  const id = useId()
  const words = text.toLowerCase().split(/\s+/).filter(Boolean)
  const found = groups
    .map((group) => ({
      ...group,
      operations: group.operations.filter((one) => {
        const haystack = `${group.tag} ${one.method} ${one.path} ${one.summary}`.toLowerCase()
        return words.every((word) => haystack.includes(word))
      }),
    }))
    .filter((group) => group.operations.length > 0)
  return (
    <nav aria-label={t('docs.api.operations')}>
      <label htmlFor={id} className="sr-only">
        {t('docs.api.find')}
      </label>
      <Input
        id={id}
        type="search"
        value={text}
        placeholder={t('docs.api.find')}
        onChange={(event) => setText(event.target.value)}
      />
      {found.map((group) => (
        <div key={group.id} className="mt-5">
          <a href={`#${group.id}`} className="rounded-sm font-medium text-sm hover:underline">
            {group.tag}
          </a>
          <ul className="mt-1">
            {group.operations.map((one) => (
              <li key={one.id}>
                <a
                  href={`#${one.id}`}
                  className="-mx-2 flex items-baseline gap-2 rounded-md px-2 py-1 text-mute text-sm hover:bg-hover hover:text-ink"
                >
                  <span className="w-11 shrink-0 font-mono text-faint text-xs uppercase">{one.method}</span>
                  <span className="min-w-0">{one.summary}</span>
                </a>
              </li>
            ))}
          </ul>
        </div>
      ))}
      {found.length === 0 ? <p className="mt-4 text-mute text-sm">{t('docs.api.none')}</p> : null}
    </nav>
  )
}
