'use client'

import { createContext, type ReactNode, useContext, useEffect, useState } from 'react'
import { type Page, toQuery } from '@/libs/ui/api-client'
import type { Command } from '@/libs/ui/command-palette'
import { useApiFetch } from '@/libs/ui/use-api'

/** What the rows of the lists that are searched have, each some of it. */
export type FoundRow = {
  id: string
  name?: string | null
  slug?: string
  external_id?: string
  key?: string
  email?: string | null
}

/** A list of the API whose rows the command palette finds and leads to. */
export type Finder = {
  /** Answers `q` and `limit`, such as `/customers`. */
  path: string
  /** What its rows are called. */
  group: string
  icon: ReactNode
  toEntry: (row: FoundRow) => { label: string; detail?: string; href: string }
}

/** Rows of one list that are shown; who looks for another types more. */
const SHOWN = 5
const SHORTEST = 2
const PAUSE_MS = 200

const Finders = createContext<readonly Finder[]>([])

/** What the command palette below finds besides pages and commands. `finders` must keep its identity. */
export function CommandFinders({ finders, children }: { finders: readonly Finder[]; children: ReactNode }) {
  return <Finders value={finders}>{children}</Finders>
}

type Answer = { text: string; found: readonly Command[]; failed: boolean }

/** The rows that match a text of two characters and more, asked for after a short pause. */
export function useFoundCommands(text: string): { found: readonly Command[]; searching: boolean; failed: boolean } {
  const finders = useContext(Finders)
  const api = useApiFetch()
  const [answer, setAnswer] = useState<Answer>({ text: '', found: [], failed: false })
  const asked = text.trim()
  const searches = asked.length >= SHORTEST && finders.length > 0

  useEffect(() => {
    if (!searches) return
    const abort = new AbortController()
    const timer = setTimeout(async () => {
      const lists = await Promise.allSettled(
        finders.map(async (finder) => {
          const path = `${finder.path}${toQuery({ q: asked, limit: SHOWN })}`
          const page = await api<Page<FoundRow>>(path, { signal: abort.signal })
          return page.data.map((row) => toCommand(finder, row))
        }),
      )
      if (abort.signal.aborted) return
      const found = lists.flatMap((list) => (list.status === 'fulfilled' ? list.value : []))
      setAnswer({ text: asked, found, failed: lists.some(({ status }) => status === 'rejected') })
    }, PAUSE_MS)
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [searches, asked, finders, api])

  if (!searches) return { found: [], searching: false, failed: false }
  if (answer.text === asked) return { found: answer.found, searching: false, failed: answer.failed }
  // Of the answer before only what still fits stays: Enter must not lead to what was typed past.
  const fits = ({ label, detail }: Command) => `${label} ${detail}`.toLowerCase().includes(asked.toLowerCase())
  return { found: answer.found.filter(fits), searching: true, failed: false }
}

function toCommand({ path, group, icon, toEntry }: Finder, row: FoundRow): Command {
  return { id: `found:${path}:${row.id}`, group, icon, found: true, ...toEntry(row) }
}
