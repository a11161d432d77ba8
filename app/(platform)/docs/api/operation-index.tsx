'use client'

import Link from 'next/link'
import { useState } from 'react'
import { Input } from '@/libs/ui/input'
import { t } from '@/libs/ui/messages'
import { groupPath } from './group-path'
import type { ListedOperation, OperationGroup } from './openapi-document'

export type IndexGroup = Pick<OperationGroup, 'tag' | 'id'> & {
  operations: Pick<ListedOperation, 'id' | 'method' | 'path' | 'summary'>[]
}

/**
 * All operations with a field that narrows them; without scripts it is the whole list. Rows and groups have the anchors
 * of what they lead to, so that an address from the time of a single page still finds its line.
 */
export function OperationIndex({ groups }: { groups: IndexGroup[] }) {
  const [text, setText] = useState('')
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
  const count = found.reduce((sum, group) => sum + group.operations.length, 0)
  return (
    <>
      <Input
        type="search"
        aria-label={t('docs.api.find')}
        value={text}
        placeholder={t('docs.api.find')}
        onChange={(event) => setText(event.target.value)}
        className="mt-4"
      />
      <p role="status" className="mt-2 text-mute text-sm">
        {t('docs.api.found', { count })}
      </p>
      {found.map((group) => (
        <div key={group.id} className="mt-6">
          <h3 id={group.id} className="scroll-mt-20 font-medium">
            <Link href={groupPath(group)} prefetch={false} className="rounded-sm hover:underline">
              {group.tag}
            </Link>
          </h3>
          <ul className="mt-2 divide-y rounded-lg border bg-surface">
            {group.operations.map((one) => (
              <li key={one.id} id={one.id} className="scroll-mt-20 target:bg-accent-soft">
                {/* Not Link: the browser itself moves the reading position to the anchor on the other page. */}
                <a
                  href={`${groupPath(group)}#${one.id}`}
                  className="grid grid-cols-[3.5rem_minmax(0,1fr)] items-baseline gap-x-2 px-4 py-2 text-sm hover:bg-hover sm:grid-cols-[3.5rem_minmax(0,2fr)_minmax(0,3fr)]"
                >
                  <span className="font-mono text-mute text-xs uppercase">{one.method}</span>
                  <span>{one.summary}</span>
                  <code className="break-words font-mono text-mute text-xs max-sm:col-start-2">{one.path}</code>
                </a>
              </li>
            ))}
          </ul>
        </div>
      ))}
    </>
  )
}
