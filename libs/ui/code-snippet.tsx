'use client'

import { Tabs } from '@base-ui/react/tabs'
import { Fragment, type ReactNode, useSyncExternalStore } from 'react'
import { CopyButton } from '@/libs/ui/copy-button'
import { cx } from '@/libs/ui/cx'
import { t } from '@/libs/ui/messages'

export type Snippet = { label: string; code: string; language: 'shell' | 'typescript' | 'json' | 'sql' | 'text' }

const STORAGE_KEY = 'holdfast.snippet'
const listeners = new Set<() => void>()

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function readChoice(): string {
  try {
    return window.localStorage.getItem(STORAGE_KEY) ?? ''
  } catch {
    return ''
  }
}

function writeChoice(label: string): void {
  try {
    window.localStorage.setItem(STORAGE_KEY, label)
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  for (const listener of listeners) listener()
}

const patterns: Record<Snippet['language'], RegExp | null> = {
  shell: /(#.*$)|("(?:[^"\\]|\\.)*"|'[^']*')|((?:^|\s)-{1,2}[A-Za-z][\w-]*)|(\bcurl\b|\bexport\b|\bnpm\b|\bnpx\b)/gm,
  typescript:
    /(\/\/.*$)|('(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*")|(\b\d[\d_.]*\b)|(\b(?:import|from|const|let|await|async|function|return|new|if|else|throw|export|type)\b)/gm,
  json: /(\/\/.*$)|("(?:[^"\\]|\\.)*"(?=\s*:))|("(?:[^"\\]|\\.)*"|-?\b\d[\d.eE+-]*\b)|(\b(?:true|false|null)\b)/gm,
  sql: /(--.*$)|('(?:[^']|'')*')|(\b\d+\b)|(\b(?:select|from|where|insert|into|values|update|set|delete|and|or|not|null|create|table|policy|restrictive|for|all|to|using|with|check|on|as)\b)/gim,
  text: null,
}

const colors = ['', 'text-faint italic', 'text-success-text', 'text-info-text', 'text-accent-text']

/** The code with comments, strings, numbers and words coloured; text only, never markup. */
function highlight(code: string, language: Snippet['language']): ReactNode {
  const pattern = patterns[language]
  if (!pattern) return code
  const parts: ReactNode[] = []
  let end = 0
  for (const match of code.matchAll(pattern)) {
    const group = [1, 2, 3, 4].find((index) => match[index] !== undefined) ?? 0
    if (match.index > end) parts.push(<Fragment key={end}>{code.slice(end, match.index)}</Fragment>)
    parts.push(
      <span key={`${match.index}:${group}`} className={colors[group]}>
        {match[0]}
      </span>,
    )
    end = match.index + match[0].length
  }
  parts.push(<Fragment key="rest">{code.slice(end)}</Fragment>)
  return parts
}

/** Code that scrolls sideways, reachable by keyboard. */
export function CodeBlock({ code, language, label }: { code: string; language: Snippet['language']; label: string }) {
  return (
    <section
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
      tabIndex={0}
      className="scrollbar-thin overflow-x-auto px-4 py-3 focus-visible:-outline-offset-2"
    >
      <pre className="font-mono text-xs leading-5">
        <code>{highlight(code, language)}</code>
      </pre>
    </section>
  )
}

/**
 * The same call in several languages, with a copy button; the chosen language is remembered on all snippets.
 * @example <CodeSnippet label="Send an event" snippets={httpSnippets({ method: 'POST', url, key, body })} />
 */
export function CodeSnippet({
  label,
  snippets,
  className,
}: {
  label: string
  snippets: readonly [Snippet, ...Snippet[]]
  className?: string
}) {
  const chosen = useSyncExternalStore(subscribe, readChoice, () => '')
  const current = snippets.find((snippet) => snippet.label === chosen) ?? snippets[0]
  const frame = cx('min-w-0 overflow-hidden rounded-lg border bg-sunken', className)
  const copy = <CopyButton value={current.code} label={t('ui.copyNamed', { name: label })} />
  if (snippets.length === 1) {
    return (
      <div className={frame}>
        <div className="flex items-center justify-between gap-3 border-b py-1 pr-1.5 pl-4">
          <span className="font-medium text-mute text-xs">{current.label}</span>
          {copy}
        </div>
        <CodeBlock code={current.code} language={current.language} label={label} />
      </div>
    )
  }
  return (
    <Tabs.Root value={current.label} onValueChange={(value) => writeChoice(String(value))} className={frame}>
      <div className="flex items-center justify-between gap-3 border-b pr-1.5 pl-4">
        <Tabs.List aria-label={label} className="flex gap-4">
          {snippets.map((snippet) => (
            <Tabs.Tab
              key={snippet.label}
              value={snippet.label}
              className="-mb-px h-9 border-transparent border-b-2 text-mute text-xs hover:text-ink focus-visible:-outline-offset-2 data-active:border-accent data-active:font-medium data-active:text-ink"
            >
              {snippet.label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {copy}
      </div>
      {snippets.map((snippet) => (
        <Tabs.Panel key={snippet.label} value={snippet.label} tabIndex={-1}>
          <CodeBlock code={snippet.code} language={snippet.language} label={`${label}, ${snippet.label}`} />
        </Tabs.Panel>
      ))}
    </Tabs.Root>
  )
}
